"""The pack in a real ComfyUI, where one is: its modules are not on the package index."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from latentry import PluginHost

FOLDER = os.environ.get("LATENTRY_TEST_COMFYUI")
"""ComfyUI's folder; its requirements are installed beside us."""


@pytest.fixture(scope="module")
def told() -> Any:
    """What ``in_comfyui.py`` prints."""
    if not FOLDER:
        pytest.skip("LATENTRY_TEST_COMFYUI does not name the folder of a ComfyUI")
    program = [sys.executable, str(Path(__file__).with_name("in_comfyui.py")), FOLDER]
    return json.loads(subprocess.run(program, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


@pytest.mark.slow
def test_the_same_methods_give_what_comfyuis_own_give(told: Any) -> None:
    assert len(told["same"]) == 24
    assert {name: apart for name, apart in told["same"].items() if apart > 1e-5} == {}


@pytest.mark.slow
def test_every_node_draws_in_every_sampling_of_a_model(told: Any) -> None:
    host = PluginHost()
    drawing = [name for name in host.schedulers if not host.schedulers[name].adaptive]
    assert {key for key, finite in told["finite"].items() if not finite} == set()
    assert len(told["finite"]) == 4 * (len(drawing) + 2)
    assert told["previews"] >= 4 * 8 * len(drawing)


@pytest.mark.slow
def test_nodes_and_lists_are_as_comfyui_reads_them(told: Any) -> None:
    host = PluginHost()
    assert told["ksampler"] == [len(told["finite"]) // 4 - 2, len(list(host.sigma_schedules))]
    assert len(told["inputs"]) == len(list(host.schedulers)) + 2
    assert told["inputs"]["LatentrySampler_unipc"] == sorted(host.schedulers.load("unipc").model_fields)
