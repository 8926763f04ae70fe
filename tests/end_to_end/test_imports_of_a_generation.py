"""What ``latentry generate`` must not import for the shipped model, and what its process does about garbage."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from latentry import ProgressEvent
from latentry._cli._late_collection import LateCollection

SCRIPT = """
import gc, json, sys
from latentry_main import main
seen = []
code = main()
counts = [each["collections"] for each in gc.get_stats()]
about = {"code": code, "frozen": gc.get_freeze_count(), "enabled": gc.isenabled(), "collections": counts}
print(json.dumps({**about, "modules": sorted(sys.modules)}))
"""
UNUSED = (
    "latentry_diffusers.lora",
    "latentry_diffusers.convert",
    "latentry_diffusers.loading.quantised",
    "latentry_sdxl.model",
    "latentry_sd3.model",
    "latentry_flux.model",
    "latentry_unipc.scheduler",
    "latentry_attention_sliced.backend",
    "latentry.testing",
    "latentry._cli._commands._installation._check",
    "rich",
    "diffusers.pipelines",
    "diffusers.guiders",
    "kornia",
    "torchsde",
    "matplotlib",
    "pandas",
)
"""LoRAs, quantised weights, other families, schedulers and backends, the kit, other commands, diffusers' pipelines."""


@pytest.fixture(scope="module")
def after(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """The state of a process after a generation of two steps."""
    folder = tmp_path_factory.mktemp("first")
    command = [sys.executable, "-c", SCRIPT, "generate", "a red circle", "--steps", "2", "--quiet", "--offline"]
    done = subprocess.run([*command, "--output", "a.png"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (folder / "a.png").is_file()
    found: Mapping[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert found["code"] == 0
    return found


def test_nothing_is_imported_that_is_not_used(after: Mapping[str, Any]) -> None:
    modules = after["modules"]
    assert {"torch", "diffusers", "latentry_sd.model", "latentry_ddim.scheduler"} <= set(modules)
    assert [name for name in UNUSED if any(module == name or module.startswith(f"{name}.") for module in modules)] == []


def test_garbage_is_not_collected_before_the_model_is_loaded(after: Mapping[str, Any]) -> None:
    """Python collects its youngest generation once for every 700 new objects; these are the ones that stayed."""
    assert after["enabled"]
    assert after["frozen"] > 100_000
    assert sum(after["collections"]) < after["frozen"] / 700 / 4


@pytest.mark.parametrize("was_on", [True, False])
def test_collection_is_again_as_it_was(was_on: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    state = [was_on]
    monkeypatch.setattr("gc.isenabled", lambda: state[0])
    monkeypatch.setattr("gc.disable", lambda: (calls.append("disable"), state.__setitem__(0, False)))
    monkeypatch.setattr("gc.enable", lambda: (calls.append("enable"), state.__setitem__(0, True)))
    monkeypatch.setattr("gc.freeze", lambda: calls.append("freeze"))
    monkeypatch.setattr("gc.unfreeze", lambda: calls.append("unfreeze"))
    seen: list[ProgressEvent] = []
    events = [ProgressEvent(stage, 0, 1, "") for stage in ("load", "load", "encode", "sample")]
    with LateCollection() as collection:
        progress = collection.watching(seen.append)
        for event in events:
            progress(event)
            assert state[0] == (was_on and event.stage != "load")
    assert seen == events
    assert calls == (["disable", "freeze", "enable", "unfreeze"] if was_on else ["disable", "unfreeze"])


def test_a_failure_while_loading_ends_the_pause() -> None:
    import gc

    assert gc.isenabled()
    with pytest.raises(ValueError, match="damaged"), LateCollection():
        assert not gc.isenabled()
        raise ValueError("damaged")
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
