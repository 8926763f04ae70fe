"""Latentry: schedulers, model families and attention backends as plugins, and the small core they stand on.

Importing this package imports neither torch nor any plugin; the numeric names are resolved on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from latentry._discovery import Plugin, PluginHost, Problem, Provenance, Registry
from latentry._errors import (
    IncompatibleError,
    LatentryError,
    ModelError,
    OptionError,
    PluginError,
    RecipeError,
    ResourceError,
    UnknownName,
)
from latentry._specs import (
    ALL_PROCESSES,
    API,
    AttentionBackendSpec,
    CheckpointSpec,
    Detection,
    Final,
    GuidanceKind,
    ModelFamilySpec,
    ModelFiles,
    PeerName,
    ProcessKind,
    SchedulerCase,
    SchedulerSpec,
    SigmaPreference,
    SigmaScheduleSpec,
    Spec,
    Task,
    VariantSpec,
    sigma_preferences,
)
from latentry.hookspecs import hookimpl

if TYPE_CHECKING:
    from latentry._attention._arithmetic import (
        causal_by_squares,
        contiguous_rows,
        masked_rows,
        padded_bias,
        score_bias,
    )
    from latentry._attention._demand import AttentionDemand
    from latentry._attention._guard import AttentionGuard
    from latentry._attention._packages import gpu_problem, package_problem
    from latentry._attention._serving import attention_backend
    from latentry._contract._conditioning import Conditioning, PromptSettings
    from latentry._contract._conversion import Conversion
    from latentry._contract._emphasis import parse_emphasis
    from latentry._contract._lora import LoraMatch, LoraMode, LoraRequest
    from latentry._contract._model import AttentionBackend, Checkpoint, LoadReport, Model
    from latentry._contract._noise_settings import NoiseSettings, flow_settings, variance_preserving_settings
    from latentry._contract._progress import Progress, ProgressEvent
    from latentry._files._fingerprint import fingerprint
    from latentry._files._inspect import Inspection, inspect_model
    from latentry._generate._engine import Engine
    from latentry._memory._offload import offloaded
    from latentry._numerics._brownian import BrownianNoise
    from latentry._numerics._denoised import Denoised
    from latentry._numerics._grids._align_your_steps import AlignYourSteps
    from latentry._numerics._grids._beta import Beta, BetaSigmas
    from latentry._numerics._grids._even import Normal, SGMUniform, Simple
    from latentry._numerics._grids._exponential import Exponential, Polyexponential
    from latentry._numerics._grids._karras import Karras
    from latentry._numerics._grids._kl_optimal import KLOptimal
    from latentry._numerics._grids._linear_quadratic import LinearQuadratic
    from latentry._numerics._grids._shift import resolution_shift, shifted
    from latentry._numerics._grids._sigma_schedule import ExactSigmas, SigmaSchedule
    from latentry._numerics._grids._spacings import Leading, Linspace, Trailing
    from latentry._numerics._interval import Form, History, Interval, Node, NoMemory, remember
    from latentry._numerics._linear import combine
    from latentry._numerics._noise import KeyedNoise, Noise, NoiseSource
    from latentry._numerics._plan import Hook, InitialNoise, Plan
    from latentry._numerics._processes._edm import EDM
    from latentry._numerics._processes._flow import Flow
    from latentry._numerics._processes._point import Point, Query
    from latentry._numerics._processes._prediction import Prediction
    from latentry._numerics._processes._process import Process
    from latentry._numerics._processes._variance_preserving import VariancePreserving
    from latentry._numerics._run import Run
    from latentry._numerics._scheduler import Scheduler, Step
    from latentry._numerics._solvers._ancestral import Ancestral, EtaRule, ancestral
    from latentry._numerics._solvers._churn import Churn
    from latentry._numerics._solvers._exponential import exponential_step
    from latentry._numerics._solvers._multistep import exponential_multistep
    from latentry._numerics._solvers._slopes import slope_step
    from latentry._numerics._solvers._thresholding import DynamicThreshold
    from latentry._numerics._solvers._weights import exponential_weights, midpoint_weights, polynomial_weights
    from latentry._numerics._state import RunState
    from latentry._numerics._stepwise import Stepwise
    from latentry._request._generation_request import GenerationRequest
    from latentry._request._memory_policy import MemoryPolicy
    from latentry._request._recipe import Recipe, read_recipe
    from latentry._request._result import GenerationResult
    from latentry._resolve._setup import Setup

_LAZY = {
    "Conversion": "_contract._conversion",
    "parse_emphasis": "_contract._emphasis",
    **dict.fromkeys(
        ("causal_by_squares", "contiguous_rows", "masked_rows", "padded_bias", "score_bias"),
        "_attention._arithmetic",
    ),
    "AttentionDemand": "_attention._demand",
    "AttentionGuard": "_attention._guard",
    **dict.fromkeys(("gpu_problem", "package_problem"), "_attention._packages"),
    "attention_backend": "_attention._serving",
    **dict.fromkeys(("Conditioning", "PromptSettings"), "_contract._conditioning"),
    "Engine": "_generate._engine",
    "fingerprint": "_files._fingerprint",
    **dict.fromkeys(("LoraMatch", "LoraMode", "LoraRequest"), "_contract._lora"),
    "offloaded": "_memory._offload",
    "MemoryPolicy": "_request._memory_policy",
    **dict.fromkeys(("AttentionBackend", "Checkpoint", "LoadReport", "Model"), "_contract._model"),
    **dict.fromkeys(("NoiseSettings", "flow_settings", "variance_preserving_settings"), "_contract._noise_settings"),
    **dict.fromkeys(("Progress", "ProgressEvent"), "_contract._progress"),
    **dict.fromkeys(("Recipe", "read_recipe"), "_request._recipe"),
    "GenerationRequest": "_request._generation_request",
    "GenerationResult": "_request._result",
    "Setup": "_resolve._setup",
    **dict.fromkeys(("Inspection", "inspect_model"), "_files._inspect"),
    **dict.fromkeys(("Ancestral", "EtaRule", "ancestral"), "_numerics._solvers._ancestral"),
    "Churn": "_numerics._solvers._churn",
    "slope_step": "_numerics._solvers._slopes",
    "BrownianNoise": "_numerics._brownian",
    "Denoised": "_numerics._denoised",
    "EDM": "_numerics._processes._edm",
    "exponential_step": "_numerics._solvers._exponential",
    "Flow": "_numerics._processes._flow",
    "AlignYourSteps": "_numerics._grids._align_your_steps",
    **dict.fromkeys(("Beta", "BetaSigmas"), "_numerics._grids._beta"),
    **dict.fromkeys(("Normal", "SGMUniform", "Simple"), "_numerics._grids._even"),
    **dict.fromkeys(("Exponential", "Polyexponential"), "_numerics._grids._exponential"),
    "Karras": "_numerics._grids._karras",
    "KLOptimal": "_numerics._grids._kl_optimal",
    "LinearQuadratic": "_numerics._grids._linear_quadratic",
    **dict.fromkeys(("resolution_shift", "shifted"), "_numerics._grids._shift"),
    **dict.fromkeys(("Form", "History", "Interval", "NoMemory", "Node", "remember"), "_numerics._interval"),
    "combine": "_numerics._linear",
    "exponential_multistep": "_numerics._solvers._multistep",
    **dict.fromkeys(("KeyedNoise", "Noise", "NoiseSource"), "_numerics._noise"),
    **dict.fromkeys(("Hook", "InitialNoise", "Plan"), "_numerics._plan"),
    **dict.fromkeys(("Point", "Query"), "_numerics._processes._point"),
    "Prediction": "_numerics._processes._prediction",
    "Process": "_numerics._processes._process",
    "Run": "_numerics._run",
    **dict.fromkeys(("Scheduler", "Step"), "_numerics._scheduler"),
    **dict.fromkeys(("ExactSigmas", "SigmaSchedule"), "_numerics._grids._sigma_schedule"),
    **dict.fromkeys(("Leading", "Linspace", "Trailing"), "_numerics._grids._spacings"),
    "RunState": "_numerics._state",
    "Stepwise": "_numerics._stepwise",
    "DynamicThreshold": "_numerics._solvers._thresholding",
    "VariancePreserving": "_numerics._processes._variance_preserving",
    **dict.fromkeys(("exponential_weights", "midpoint_weights", "polynomial_weights"), "_numerics._solvers._weights"),
}

__all__ = [
    "ALL_PROCESSES",
    "API",
    "EDM",
    "AlignYourSteps",
    "Ancestral",
    "AttentionBackend",
    "AttentionBackendSpec",
    "AttentionDemand",
    "AttentionGuard",
    "Beta",
    "BetaSigmas",
    "BrownianNoise",
    "Checkpoint",
    "CheckpointSpec",
    "Churn",
    "Conditioning",
    "Conversion",
    "Denoised",
    "Detection",
    "DynamicThreshold",
    "Engine",
    "EtaRule",
    "ExactSigmas",
    "Exponential",
    "Final",
    "Flow",
    "Form",
    "GenerationRequest",
    "GenerationResult",
    "GuidanceKind",
    "History",
    "Hook",
    "IncompatibleError",
    "InitialNoise",
    "Inspection",
    "Interval",
    "KLOptimal",
    "Karras",
    "KeyedNoise",
    "LatentryError",
    "Leading",
    "LinearQuadratic",
    "Linspace",
    "LoadReport",
    "LoraMatch",
    "LoraMode",
    "LoraRequest",
    "MemoryPolicy",
    "Model",
    "ModelError",
    "ModelFamilySpec",
    "ModelFiles",
    "NoMemory",
    "Node",
    "Noise",
    "NoiseSettings",
    "NoiseSource",
    "Normal",
    "OptionError",
    "PeerName",
    "Plan",
    "Plugin",
    "PluginError",
    "PluginHost",
    "Point",
    "Polyexponential",
    "Prediction",
    "Problem",
    "Process",
    "ProcessKind",
    "Progress",
    "ProgressEvent",
    "PromptSettings",
    "Provenance",
    "Query",
    "Recipe",
    "RecipeError",
    "Registry",
    "ResourceError",
    "Run",
    "RunState",
    "SGMUniform",
    "Scheduler",
    "SchedulerCase",
    "SchedulerSpec",
    "Setup",
    "SigmaPreference",
    "SigmaSchedule",
    "SigmaScheduleSpec",
    "Simple",
    "Spec",
    "Step",
    "Stepwise",
    "Task",
    "Trailing",
    "UnknownName",
    "VariancePreserving",
    "VariantSpec",
    "ancestral",
    "attention_backend",
    "causal_by_squares",
    "combine",
    "contiguous_rows",
    "exponential_multistep",
    "exponential_step",
    "exponential_weights",
    "fingerprint",
    "flow_settings",
    "gpu_problem",
    "hookimpl",
    "inspect_model",
    "masked_rows",
    "midpoint_weights",
    "offloaded",
    "package_problem",
    "padded_bias",
    "parse_emphasis",
    "polynomial_weights",
    "read_recipe",
    "remember",
    "resolution_shift",
    "score_bias",
    "shifted",
    "sigma_preferences",
    "slope_step",
    "variance_preserving_settings",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'latentry' has no attribute {name!r}")
    return getattr(import_module(f"latentry.{_LAZY[name]}"), name)
