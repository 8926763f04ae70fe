"""Latentry: a plug-in framework for diffusion image generation.

Here is what a host, someone who wants pictures and a first scheduler need. More is in ``latentry.solvers``,
``latentry.sigmas``, ``latentry.tables``, ``latentry.attention``, ``latentry.guidance``, ``latentry.conditioners``,
``latentry.models``, ``latentry.names``, ``latentry.batches`` and ``latentry.commands``, and the conformance kit in
``latentry.testing``. Importing this package imports neither torch nor any plugin; most names are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from latentry._discovery import Plugin, PluginHost, Problem, Provenance, Registry
from latentry._errors import (
    DeadlinePassed,
    IncompatibleError,
    JobCancelled,
    LatentryError,
    ModelError,
    NonFiniteError,
    NotAllowed,
    OptionError,
    PluginError,
    RecipeDiffers,
    RecipeError,
    ResourceError,
    UnknownName,
)
from latentry._lazy import lazy_exports
from latentry._moved import MOVED, moved
from latentry._specs import (
    ALL_PROCESSES,
    API,
    AttentionBackendSpec,
    BranchKind,
    CheckpointSpec,
    CommandSpec,
    ConditionerSpec,
    ControlSpec,
    Detection,
    Evidence,
    ExecutorSpec,
    FileKind,
    Final,
    GuidanceKind,
    GuidanceSpec,
    ModelFamilySpec,
    ModelFiles,
    ModelSourceSpec,
    PeerName,
    ProcessKind,
    SchedulerCase,
    SchedulerSpec,
    SigmaPreference,
    SigmaScheduleSpec,
    Spec,
    StepCacheKind,
    Task,
    VariantSpec,
    sigma_preferences,
)
from latentry.hookspecs import hookimpl

if TYPE_CHECKING:
    from latentry import attention, batches, commands, conditioners, guidance, models, names, sigmas, solvers, tables
    from latentry._contract._curve import Curve
    from latentry._contract._lora import LoraMode, LoraRequest
    from latentry._contract._progress import Glimpse, Progress, ProgressEvent
    from latentry._contract._prompts._embedding import EmbeddingRequest
    from latentry._files._compatible import Compatibility, compatible
    from latentry._files._inspect import Inspection, inspect_model
    from latentry._generate._engine import Engine
    from latentry._generate._kept._models import Resident
    from latentry._generate._network import GuidedNetwork
    from latentry._generate._sample import sample
    from latentry._jobs._events import Drawn, Ended, JobEvent, JobState, Previewed, Queued, Started, Stepped
    from latentry._jobs._job import Job
    from latentry._numerics._denoised import Denoised
    from latentry._numerics._grids._rules._karras import Karras
    from latentry._numerics._grids._spacings import Leading, Linspace, Trailing
    from latentry._numerics._interval import History, Interval, Node, NoMemory, remember
    from latentry._numerics._plan import Plan
    from latentry._numerics._processes._edm import EDM
    from latentry._numerics._processes._flow import Flow
    from latentry._numerics._processes._point import Point, Query
    from latentry._numerics._processes._prediction import Prediction
    from latentry._numerics._processes._process import Process
    from latentry._numerics._processes._variance_preserving import VariancePreserving
    from latentry._numerics._running._brownian import BrownianNoise
    from latentry._numerics._running._noise import KeyedNoise, Noise, NoiseSource
    from latentry._numerics._running._run import Run
    from latentry._numerics._running._state import RunState
    from latentry._numerics._running._stepwise import Stepwise
    from latentry._numerics._running._whole import Evaluator, WholeScheduler
    from latentry._numerics._scheduler import Scheduler
    from latentry._numerics._step import Step
    from latentry._pictures._reading import PictureTexts, read_texts
    from latentry._policy import Policy
    from latentry._request._generation_request import GenerationRequest
    from latentry._request._memory_policy import MemoryPolicy
    from latentry._request._recipe import Recipe, read_recipe
    from latentry._request._result import GenerationResult
    from latentry._request._schema import option_schema, request_schema, schemas
    from latentry._request._values._control import ControlRequest
    from latentry._resolve._setup import Setup

    # names that have moved: type checkers accept them in the old place too
    from latentry.attention import *  # noqa: F403
    from latentry.models import *  # noqa: F403
    from latentry.sigmas import *  # noqa: F403
    from latentry.solvers import *  # noqa: F403
else:
    _lazy_name, __dir__ = lazy_exports(
        __name__,
        {
            **dict.fromkeys(("attention", "batches", "commands", "conditioners", "guidance", "models"), ""),
            **dict.fromkeys(("names", "sigmas", "solvers", "tables"), ""),
            "Curve": "_contract._curve",
            "LoraMode": "_contract._lora",
            "LoraRequest": "_contract._lora",
            "Glimpse": "_contract._progress",
            "Progress": "_contract._progress",
            "ProgressEvent": "_contract._progress",
            "Compatibility": "_files._compatible",
            "compatible": "_files._compatible",
            "Inspection": "_files._inspect",
            "inspect_model": "_files._inspect",
            "PictureTexts": "_pictures._reading",
            "read_texts": "_pictures._reading",
            "Policy": "_policy",
            "Engine": "_generate._engine",
            "GuidedNetwork": "_generate._network",
            "sample": "_generate._sample",
            "Resident": "_generate._kept._models",
            **dict.fromkeys(("Drawn", "Ended", "JobEvent", "JobState"), "_jobs._events"),
            **dict.fromkeys(("Previewed", "Queued", "Started", "Stepped"), "_jobs._events"),
            "Job": "_jobs._job",
            "BrownianNoise": "_numerics._running._brownian",
            "Denoised": "_numerics._denoised",
            "Karras": "_numerics._grids._rules._karras",
            "Leading": "_numerics._grids._spacings",
            "Linspace": "_numerics._grids._spacings",
            "Trailing": "_numerics._grids._spacings",
            "History": "_numerics._interval",
            "Interval": "_numerics._interval",
            "NoMemory": "_numerics._interval",
            "Node": "_numerics._interval",
            "remember": "_numerics._interval",
            "KeyedNoise": "_numerics._running._noise",
            "Noise": "_numerics._running._noise",
            "NoiseSource": "_numerics._running._noise",
            "Plan": "_numerics._plan",
            "EDM": "_numerics._processes._edm",
            "Flow": "_numerics._processes._flow",
            "Point": "_numerics._processes._point",
            "Query": "_numerics._processes._point",
            "Prediction": "_numerics._processes._prediction",
            "Process": "_numerics._processes._process",
            "VariancePreserving": "_numerics._processes._variance_preserving",
            "Run": "_numerics._running._run",
            "Scheduler": "_numerics._scheduler",
            "Step": "_numerics._step",
            "RunState": "_numerics._running._state",
            "Stepwise": "_numerics._running._stepwise",
            "Evaluator": "_numerics._running._whole",
            "WholeScheduler": "_numerics._running._whole",
            "ControlRequest": "_request._values._control",
            "EmbeddingRequest": "_contract._prompts._embedding",
            "GenerationRequest": "_request._generation_request",
            "MemoryPolicy": "_request._memory_policy",
            "Recipe": "_request._recipe",
            "read_recipe": "_request._recipe",
            "GenerationResult": "_request._result",
            "option_schema": "_request._schema",
            "request_schema": "_request._schema",
            "schemas": "_request._schema",
            "Setup": "_resolve._setup",
        },
    )

    def __getattr__(name: str) -> Any:
        return moved(name) if name in MOVED else _lazy_name(name)


__all__ = [
    "ALL_PROCESSES",
    "API",
    "EDM",
    "AttentionBackendSpec",
    "BranchKind",
    "BrownianNoise",
    "CheckpointSpec",
    "CommandSpec",
    "Compatibility",
    "ConditionerSpec",
    "ControlRequest",
    "ControlSpec",
    "Curve",
    "DeadlinePassed",
    "Denoised",
    "Detection",
    "Drawn",
    "EmbeddingRequest",
    "Ended",
    "Engine",
    "Evaluator",
    "Evidence",
    "ExecutorSpec",
    "FileKind",
    "Final",
    "Flow",
    "GenerationRequest",
    "GenerationResult",
    "Glimpse",
    "GuidanceKind",
    "GuidanceSpec",
    "GuidedNetwork",
    "History",
    "IncompatibleError",
    "Inspection",
    "Interval",
    "Job",
    "JobCancelled",
    "JobEvent",
    "JobState",
    "Karras",
    "KeyedNoise",
    "LatentryError",
    "Leading",
    "Linspace",
    "LoraMode",
    "LoraRequest",
    "MemoryPolicy",
    "ModelError",
    "ModelFamilySpec",
    "ModelFiles",
    "ModelSourceSpec",
    "NoMemory",
    "Node",
    "Noise",
    "NoiseSource",
    "NonFiniteError",
    "NotAllowed",
    "OptionError",
    "PeerName",
    "PictureTexts",
    "Plan",
    "Plugin",
    "PluginError",
    "PluginHost",
    "Point",
    "Policy",
    "Prediction",
    "Previewed",
    "Problem",
    "Process",
    "ProcessKind",
    "Progress",
    "ProgressEvent",
    "Provenance",
    "Query",
    "Queued",
    "Recipe",
    "RecipeDiffers",
    "RecipeError",
    "Registry",
    "Resident",
    "ResourceError",
    "Run",
    "RunState",
    "Scheduler",
    "SchedulerCase",
    "SchedulerSpec",
    "Setup",
    "SigmaPreference",
    "SigmaScheduleSpec",
    "Spec",
    "Started",
    "Step",
    "StepCacheKind",
    "Stepped",
    "Stepwise",
    "Task",
    "Trailing",
    "UnknownName",
    "VariancePreserving",
    "VariantSpec",
    "WholeScheduler",
    "attention",
    "batches",
    "commands",
    "compatible",
    "conditioners",
    "guidance",
    "hookimpl",
    "inspect_model",
    "lazy_exports",
    "models",
    "names",
    "option_schema",
    "read_recipe",
    "read_texts",
    "remember",
    "request_schema",
    "sample",
    "schemas",
    "sigma_preferences",
    "sigmas",
    "solvers",
    "tables",
]
