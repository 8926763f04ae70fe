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
    ModelFamilySpec,
    PeerName,
    ProcessKind,
    SchedulerCase,
    SchedulerSpec,
    SigmaPreference,
    SigmaScheduleSpec,
    Spec,
    VariantSpec,
)
from latentry.hookspecs import hookimpl

if TYPE_CHECKING:
    from latentry._engine import (
        AttentionBackend,
        Checkpoint,
        Conditioning,
        Engine,
        GenerationRequest,
        GenerationResult,
        LoadReport,
        Model,
        NoiseSettings,
        Progress,
        ProgressEvent,
        Recipe,
        Setup,
        fingerprint,
        read_recipe,
        variance_preserving_settings,
    )
    from latentry._numerics._denoised import Denoised
    from latentry._numerics._edm import EDM
    from latentry._numerics._flow import Flow
    from latentry._numerics._interval import Form, History, Interval, Node, NoMemory, remember
    from latentry._numerics._linear import combine
    from latentry._numerics._noise import KeyedNoise, Noise, NoiseSource
    from latentry._numerics._plan import Hook, InitialNoise, Plan
    from latentry._numerics._point import Point, Query
    from latentry._numerics._prediction import Prediction
    from latentry._numerics._process import Process
    from latentry._numerics._run import Run
    from latentry._numerics._scheduler import Scheduler, Step
    from latentry._numerics._sigma_schedule import ExactSigmas, SigmaSchedule
    from latentry._numerics._spacings import Leading, Linspace, Trailing
    from latentry._numerics._state import RunState
    from latentry._numerics._stepwise import Stepwise
    from latentry._numerics._variance_preserving import VariancePreserving
    from latentry._numerics._weights import exponential_weights, polynomial_weights

_LAZY = {
    **dict.fromkeys(
        (
            "AttentionBackend",
            "Checkpoint",
            "Conditioning",
            "Engine",
            "GenerationRequest",
            "GenerationResult",
            "LoadReport",
            "Model",
            "NoiseSettings",
            "Progress",
            "ProgressEvent",
            "Recipe",
            "Setup",
            "fingerprint",
            "read_recipe",
            "variance_preserving_settings",
        ),
        "_engine",
    ),
    "Denoised": "_numerics._denoised",
    "EDM": "_numerics._edm",
    "Flow": "_numerics._flow",
    **dict.fromkeys(("Form", "History", "Interval", "NoMemory", "Node", "remember"), "_numerics._interval"),
    "combine": "_numerics._linear",
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
    "VariancePreserving": "_numerics._variance_preserving",
    **dict.fromkeys(("exponential_weights", "polynomial_weights"), "_numerics._weights"),
}

__all__ = [
    "ALL_PROCESSES",
    "API",
    "EDM",
    "AttentionBackend",
    "AttentionBackendSpec",
    "Checkpoint",
    "CheckpointSpec",
    "Conditioning",
    "Denoised",
    "Detection",
    "Engine",
    "ExactSigmas",
    "Final",
    "Flow",
    "Form",
    "GenerationRequest",
    "GenerationResult",
    "History",
    "Hook",
    "IncompatibleError",
    "InitialNoise",
    "Interval",
    "KeyedNoise",
    "LatentryError",
    "Leading",
    "Linspace",
    "LoadReport",
    "Model",
    "ModelError",
    "ModelFamilySpec",
    "NoMemory",
    "Node",
    "Noise",
    "NoiseSettings",
    "NoiseSource",
    "OptionError",
    "PeerName",
    "Plan",
    "Plugin",
    "PluginError",
    "PluginHost",
    "Point",
    "Prediction",
    "Problem",
    "Process",
    "ProcessKind",
    "Progress",
    "ProgressEvent",
    "Provenance",
    "Query",
    "Recipe",
    "RecipeError",
    "Registry",
    "ResourceError",
    "Run",
    "RunState",
    "Scheduler",
    "SchedulerCase",
    "SchedulerSpec",
    "Setup",
    "SigmaPreference",
    "SigmaSchedule",
    "SigmaScheduleSpec",
    "Spec",
    "Step",
    "Stepwise",
    "Trailing",
    "UnknownName",
    "VariancePreserving",
    "VariantSpec",
    "combine",
    "exponential_weights",
    "fingerprint",
    "hookimpl",
    "polynomial_weights",
    "read_recipe",
    "remember",
    "variance_preserving_settings",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'latentry' has no attribute {name!r}")
    return getattr(import_module(f"latentry.{_LAZY[name]}"), name)
