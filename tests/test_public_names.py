"""The names that plugins and hosts build on: none goes, none comes unnoticed."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import latentry

FIXED = [
    "ALL_PROCESSES",
    "API",
    "EDM",
    "AttentionBackend",
    "AttentionBackendSpec",
    "AttentionDemand",
    "AttentionGuard",
    "Checkpoint",
    "CheckpointSpec",
    "Conditioning",
    "Conversion",
    "Denoised",
    "Detection",
    "ModelFiles",
    "Engine",
    "ExactSigmas",
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
    "KeyedNoise",
    "LatentryError",
    "Leading",
    "Linspace",
    "LoadReport",
    "LoraMatch",
    "LoraMode",
    "LoraRequest",
    "MemoryPolicy",
    "Model",
    "ModelError",
    "ModelFamilySpec",
    "NoMemory",
    "Node",
    "Noise",
    "NoiseSettings",
    "NoiseSource",
    "OptionError",
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
    "PromptSettings",
    "Provenance",
    "Query",
    "Recipe",
    "RecipeError",
    "Registry",
    "ResourceError",
    "Run",
    "RunState",
    "Scheduler",
    "SchedulerSpec",
    "Setup",
    "SigmaPreference",
    "SigmaSchedule",
    "SigmaScheduleSpec",
    "Spec",
    "Step",
    "Stepwise",
    "Task",
    "Trailing",
    "UnknownName",
    "VariancePreserving",
    "VariantSpec",
    "attention_backend",
    "causal_by_squares",
    "combine",
    "contiguous_rows",
    "fingerprint",
    "flow_settings",
    "gpu_problem",
    "hookimpl",
    "inspect_model",
    "masked_rows",
    "offloaded",
    "package_problem",
    "padded_bias",
    "parse_emphasis",
    "read_recipe",
    "remember",
    "sigma_preferences",
    "score_bias",
    "variance_preserving_settings",
]


def test_no_promised_name_is_gone() -> None:
    assert [name for name in FIXED if name not in latentry.__all__] == []


def test_every_name_resolves_to_what_it_says() -> None:
    for name in latentry.__all__:
        assert getattr(latentry, name) is not None, name
    assert len(set(latentry.__all__)) == len(latentry.__all__)


def test_a_name_is_the_same_thing_each_time() -> None:
    assert latentry.Scheduler is latentry.Scheduler
    namespace: dict[str, object] = {}
    exec("from latentry import *", namespace)
    assert set(latentry.__all__) <= set(namespace)


def test_a_name_that_is_none_is_no_attribute() -> None:
    assert not hasattr(latentry, "Schedular")
    with pytest.raises(AttributeError, match="module 'latentry' has no attribute 'Schedular'"):
        latentry.Schedular  # noqa: B018


def test_hooks_are_where_plugins_look_for_them() -> None:
    hooks = importlib.import_module("latentry.hookspecs")
    kinds = ("schedulers", "sigma_schedules", "model_families", "attention_backends", "checkpoints")
    assert all(callable(getattr(hooks, f"latentry_{kind}")) for kind in kinds)
    assert hooks.GROUP == "latentry"


def test_types_are_shipped() -> None:
    assert (Path(latentry.__file__).parent / "py.typed").is_file()
