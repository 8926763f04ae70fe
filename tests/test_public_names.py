"""The names that plugins and hosts build on: none disappears, and each public module lists what it has."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import latentry

TOP = [
    "ALL_PROCESSES",
    "API",
    "AttentionBackendSpec",
    "BrownianNoise",
    "CheckpointSpec",
    "Denoised",
    "Detection",
    "EDM",
    "Engine",
    "Evidence",
    "Final",
    "Flow",
    "GenerationRequest",
    "GenerationResult",
    "GuidanceKind",
    "GuidedNetwork",
    "History",
    "IncompatibleError",
    "Inspection",
    "Interval",
    "Karras",
    "KeyedNoise",
    "LatentryError",
    "Leading",
    "Linspace",
    "LoraMode",
    "LoraRequest",
    "MemoryPolicy",
    "ModelError",
    "NonFiniteError",
    "ModelFamilySpec",
    "ModelFiles",
    "NoMemory",
    "Node",
    "Noise",
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
    "SigmaScheduleSpec",
    "Spec",
    "Step",
    "Stepwise",
    "Task",
    "Trailing",
    "UnknownName",
    "VariancePreserving",
    "VariantSpec",
    "attention",
    "hookimpl",
    "inspect_model",
    "lazy_exports",
    "models",
    "read_recipe",
    "remember",
    "sample",
    "sigma_preferences",
    "sigmas",
    "solvers",
]
"""What ``latentry`` itself promises."""

MOVED = {
    "solvers": """
        Ancestral Churn DynamicThreshold EtaRule Form Hook InitialNoise ancestral combine exponential_multistep
        exponential_step exponential_weights midpoint_weights polynomial_weights slope_step
    """,
    "sigmas": """
        AlignYourSteps Beta BetaSigmas ExactSigmas Exponential KLOptimal LinearQuadratic Normal Polyexponential
        SGMUniform SigmaSchedule Simple resolution_shift shifted
    """,
    "attention": """
        AttentionBackend AttentionDemand AttentionGuard attention_backend causal_by_squares contiguous_rows
        gpu_problem masked_rows package_problem padded_bias score_bias
    """,
    "models": """
        Checkpoint Conditioning Conversion LoadReport LoraMatch Model NoiseSettings PromptSettings fingerprint
        flow_settings offloaded parse_emphasis variance_preserving_settings
    """,
}
"""What was in ``latentry`` once and is in a module of its own now; the old place works, with a warning."""

CORE = Path(__file__).parents[1] / "core" / "src" / "latentry"
FACES = sorted(path.stem for path in CORE.glob("[a-z]*.py") if path.stem != "hookspecs")
"""The public modules of names from elsewhere."""
PLUGINS = Path(__file__).parents[1] / "plugins"
HEAVY = ("torch", "numpy", "pydantic", "diffusers", "transformers", "safetensors", "PIL")

OLD = [(name, face) for face, names in MOVED.items() for name in names.split()]


def modules() -> list[str]:
    return ["latentry", *(f"latentry.{face}" for face in FACES)]


def test_no_promised_name_is_gone() -> None:
    assert [name for name in TOP if name not in latentry.__all__] == []
    for name, face in OLD:
        assert name in importlib.import_module(f"latentry.{face}").__all__, name


@pytest.mark.parametrize(("name", "face"), OLD)
def test_an_old_name_works_and_says_where_it_went(name: str, face: str) -> None:
    with pytest.warns(
        DeprecationWarning, match=rf"^latentry\.{name} has moved: use latentry\.{face}\.{name}\. .* 2\.0$"
    ) as caught:
        value = getattr(latentry, name)
    assert value is getattr(importlib.import_module(f"latentry.{face}"), name)
    assert [warning.filename for warning in caught] == [__file__]


def test_importing_an_old_name_warns_at_the_line_that_imports_it() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        exec(compile("\n\nfrom latentry import combine", "theirs.py", "exec"), {})
    assert {(warning.filename, warning.lineno) for warning in caught} == {("theirs.py", 3)}


@pytest.mark.parametrize("module", modules())
def test_every_name_resolves_and_stays_the_same(module: str) -> None:
    public = importlib.import_module(module)
    for name in public.__all__:
        assert getattr(public, name) is getattr(public, name)
    assert len(set(public.__all__)) == len(public.__all__)
    namespace: dict[str, object] = {}
    exec(f"from {module} import *", namespace)
    assert set(public.__all__) <= set(namespace)


@pytest.mark.parametrize("module", modules())
def test_type_checkers_see_the_names_that_are_there(module: str) -> None:
    """What the checker is shown, name by name, is what the running module gives."""
    public = importlib.import_module(module)
    (shown,) = [
        node for node in ast.parse(Path(public.__file__ or "").read_text("utf-8")).body if isinstance(node, ast.If)
    ]
    imports = [node for node in shown.body if isinstance(node, ast.ImportFrom)]
    found = {alias.name: node.module for node in imports for alias in node.names if alias.name != "*"}
    for name, defined_in in found.items():
        assert getattr(public, name) is getattr(importlib.import_module(str(defined_in)), name), name
    eager = {name for name in public.__all__ if name not in found}
    assert eager <= (set(vars(public)) if module == "latentry" else set())


@pytest.mark.parametrize("face", FACES)
def test_a_name_at_the_top_and_in_its_module_is_one_thing(face: str) -> None:
    module = importlib.import_module(f"latentry.{face}")
    for name in set(module.__all__) & set(latentry.__all__):
        assert getattr(latentry, name) is getattr(module, name)


def test_dir_lists_every_name_and_imports_nothing_heavy() -> None:
    code = f"""
import sys
import latentry
for module in (latentry, *(getattr(latentry, face) for face in {FACES})):
    missing = set(module.__all__) - set(dir(module))
    assert not missing, (module, missing)
print(*(name for name in {HEAVY} if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_dir_of_the_top_offers_no_name_that_has_moved() -> None:
    assert set(dir(latentry)) & {name for name, _ in OLD} == set()


@pytest.mark.parametrize("module", [*modules(), "latentry_ddim"])
def test_an_unknown_name_is_an_attribute_error(module: str) -> None:
    public = importlib.import_module(module)
    assert not hasattr(public, "Schedular")
    with pytest.raises(AttributeError, match=f"module '{module}' has no attribute 'Schedular'"):
        public.Schedular  # noqa: B018


def test_a_lazy_name_is_looked_up_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "lazy_sample"
    package.mkdir()
    lines = ("import latentry", '__getattr__, __dir__ = latentry.lazy_exports(__name__, {"Late": "late"})')
    (package / "__init__.py").write_text("\n".join(lines))
    (package / "late.py").write_text("class Late: ...")
    monkeypatch.syspath_prepend(tmp_path)
    sample = importlib.import_module("lazy_sample")
    assert "Late" in dir(sample) and "lazy_sample.late" not in sys.modules
    assert "Late" not in vars(sample)
    assert sample.Late is vars(sample)["Late"] is sys.modules["lazy_sample.late"].Late
    monkeypatch.delitem(sys.modules, "lazy_sample.late")
    monkeypatch.delitem(sys.modules, "lazy_sample")


def test_plugins_share_one_way_of_being_lazy() -> None:
    own = [
        path.parent.name
        for path in PLUGINS.glob("*/src/*/__init__.py")
        if any(
            isinstance(node, ast.FunctionDef) and node.name == "__getattr__"
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
        )
    ]
    assert own == []


def test_hooks_are_where_plugins_look_for_them() -> None:
    hooks = importlib.import_module("latentry.hookspecs")
    kinds = ("schedulers", "sigma_schedules", "model_families", "attention_backends", "checkpoints")
    assert all(callable(getattr(hooks, f"latentry_{kind}")) for kind in kinds)
    assert hooks.GROUP == "latentry"


def test_types_are_shipped() -> None:
    assert (Path(latentry.__file__).parent / "py.typed").is_file()
