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
    from latentry._conversion import Conversion
    from latentry._emphasis import parse_emphasis
    from latentry._engine._attention._arithmetic import (
        causal_by_squares,
        contiguous_rows,
        masked_rows,
        padded_bias,
        score_bias,
    )
    from latentry._engine._attention._demand import AttentionDemand
    from latentry._engine._attention._guard import AttentionGuard
    from latentry._engine._attention._packages import gpu_problem, package_problem
    from latentry._engine._attention._serving import attention_backend
    from latentry._engine._conditioning import Conditioning, PromptSettings
    from latentry._engine._engine import Engine
    from latentry._engine._fingerprint import fingerprint
    from latentry._engine._inspect import Inspection, inspect_model
    from latentry._engine._lora import LoraMatch, LoraMode, LoraRequest
    from latentry._engine._memory._offload import offloaded
    from latentry._engine._memory._policy import MemoryPolicy
    from latentry._engine._model import AttentionBackend, Checkpoint, LoadReport, Model
    from latentry._engine._noise_settings import NoiseSettings, flow_settings, variance_preserving_settings
    from latentry._engine._progress import Progress, ProgressEvent
    from latentry._engine._recipe import Recipe, read_recipe
    from latentry._engine._request import GenerationRequest
    from latentry._engine._result import GenerationResult
    from latentry._engine._setup import Setup
    from latentry._numerics._ancestral import Ancestral, EtaRule, ancestral
    from latentry._numerics._brownian import BrownianNoise
    from latentry._numerics._churn import Churn
    from latentry._numerics._denoised import Denoised
    from latentry._numerics._edm import EDM
    from latentry._numerics._exponential import exponential_step
    from latentry._numerics._flow import Flow
    from latentry._numerics._grids._align_your_steps import AlignYourSteps
    from latentry._numerics._grids._beta import Beta, BetaSigmas
    from latentry._numerics._grids._even import Normal, SGMUniform, Simple
    from latentry._numerics._grids._exponential import Exponential, Polyexponential
    from latentry._numerics._grids._karras import Karras
    from latentry._numerics._grids._kl_optimal import KLOptimal
    from latentry._numerics._grids._linear_quadratic import LinearQuadratic
    from latentry._numerics._grids._shift import resolution_shift, shifted
    from latentry._numerics._interval import Form, History, Interval, Node, NoMemory, remember
    from latentry._numerics._linear import combine
    from latentry._numerics._multistep import exponential_multistep
    from latentry._numerics._noise import KeyedNoise, Noise, NoiseSource
    from latentry._numerics._plan import Hook, InitialNoise, Plan
    from latentry._numerics._point import Point, Query
    from latentry._numerics._prediction import Prediction
    from latentry._numerics._process import Process
    from latentry._numerics._run import Run
    from latentry._numerics._scheduler import Scheduler, Step
    from latentry._numerics._sigma_schedule import ExactSigmas, SigmaSchedule
    from latentry._numerics._slopes import slope_step
    from latentry._numerics._spacings import Leading, Linspace, Trailing
    from latentry._numerics._state import RunState
    from latentry._numerics._stepwise import Stepwise
    from latentry._numerics._thresholding import DynamicThreshold
    from latentry._numerics._variance_preserving import VariancePreserving
    from latentry._numerics._weights import exponential_weights, midpoint_weights, polynomial_weights

_LAZY = {
    "Conversion": "_conversion",
    "parse_emphasis": "_emphasis",
    **dict.fromkeys(
        ("causal_by_squares", "contiguous_rows", "masked_rows", "padded_bias", "score_bias"),
        "_engine._attention._arithmetic",
    ),
    "AttentionDemand": "_engine._attention._demand",
    "AttentionGuard": "_engine._attention._guard",
    **dict.fromkeys(("gpu_problem", "package_problem"), "_engine._attention._packages"),
    "attention_backend": "_engine._attention._serving",
    **dict.fromkeys(("Conditioning", "PromptSettings"), "_engine._conditioning"),
    "Engine": "_engine._engine",
    "fingerprint": "_engine._fingerprint",
    **dict.fromkeys(("LoraMatch", "LoraMode", "LoraRequest"), "_engine._lora"),
    "offloaded": "_engine._memory._offload",
    "MemoryPolicy": "_engine._memory._policy",
    **dict.fromkeys(("AttentionBackend", "Checkpoint", "LoadReport", "Model"), "_engine._model"),
    **dict.fromkeys(("NoiseSettings", "flow_settings", "variance_preserving_settings"), "_engine._noise_settings"),
    **dict.fromkeys(("Progress", "ProgressEvent"), "_engine._progress"),
    **dict.fromkeys(("Recipe", "read_recipe"), "_engine._recipe"),
    "GenerationRequest": "_engine._request",
    "GenerationResult": "_engine._result",
    "Setup": "_engine._setup",
    **dict.fromkeys(("Inspection", "inspect_model"), "_engine._inspect"),
    **dict.fromkeys(("Ancestral", "EtaRule", "ancestral"), "_numerics._ancestral"),
    "Churn": "_numerics._churn",
    "slope_step": "_numerics._slopes",
    "BrownianNoise": "_numerics._brownian",
    "Denoised": "_numerics._denoised",
    "EDM": "_numerics._edm",
    "exponential_step": "_numerics._exponential",
    "Flow": "_numerics._flow",
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
    "exponential_multistep": "_numerics._multistep",
    **dict.fromkeys(("KeyedNoise", "Noise", "NoiseSource"), "_numerics._noise"),
    **dict.fromkeys(("Hook", "InitialNoise", "Plan"), "_numerics._plan"),
    **dict.fromkeys(("Point", "Query"), "_numerics._point"),
    "Prediction": "_numerics._prediction",
    "Process": "_numerics._process",
    "Run": "_numerics._run",
    **dict.fromkeys(("Scheduler", "Step"), "_numerics._scheduler"),
    **dict.fromkeys(("ExactSigmas", "SigmaSchedule"), "_numerics._sigma_schedule"),
    **dict.fromkeys(("Leading", "Linspace", "Trailing"), "_numerics._spacings"),
    "RunState": "_numerics._state",
    "Stepwise": "_numerics._stepwise",
    "DynamicThreshold": "_numerics._thresholding",
    "VariancePreserving": "_numerics._variance_preserving",
    **dict.fromkeys(("exponential_weights", "midpoint_weights", "polynomial_weights"), "_numerics._weights"),
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
