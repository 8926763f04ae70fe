"""A batch on a cluster of two workers is the batch of one process, whoever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.ray_cluster import start_ray
from support.toy import PLUGIN, write_toy

from latentry import PluginHost
from latentry.batches import BatchFolder, BatchSettings, run_batch
from latentry.testing import ExecutorSuite

ray = pytest.importorskip("ray")
from latentry_ray.cluster import Drawer  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"),
]
TESTS = str(PLUGIN.parents[2])


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """Two workers' worth of this machine."""
    start_ray(env_vars={"PYTHONPATH": TESTS, "OMP_NUM_THREADS": "1"})
    yield
    ray.shutdown()


class TestRay(ExecutorSuite):
    executor = "ray"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_worker_that_is_killed_loses_and_doubles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 100 prompts; the process of one worker is killed when ten are drawn."""
    workers = tmp_path / "workers"
    workers.mkdir()

    class Telling(Drawer):
        def __init__(self, settings: BatchSettings) -> None:
            super().__init__(settings)
            (workers / str(os.getpid())).touch()

    monkeypatch.setattr("latentry_ray.cluster.Drawer", Telling)
    prompts = [{"prompt": f"prompt {number}"} for number in range(100)]
    common = {"model": str(write_toy(tmp_path / "toy")), "steps": 20}
    host = PluginHost(plugin_dirs=[PLUGIN])
    settings = BatchSettings(plugin_dirs=(PLUGIN,), workers=2)
    killed: list[int] = []

    def kill(done: int, lines: int, drawn: Any) -> None:
        if done >= 10 and not killed:
            killed.append(int(min(workers.iterdir()).name))
            os.kill(killed[0], signal.SIGKILL)

    failed = run_batch(
        host, BatchFolder(tmp_path / "ray", seed=1), prompts, common, executor="ray", settings=settings, told=kill
    )
    assert (failed, len(killed)) == (0, 1)
    assert len(list(workers.iterdir())) == 3  # two, and the one in the place of the killed
    alone = BatchSettings(plugin_dirs=(PLUGIN,))
    run_batch(host, BatchFolder(tmp_path / "local", seed=1), prompts, common, settings=alone)
    assert contents(tmp_path / "ray") == contents(tmp_path / "local")


def test_a_command_that_is_killed_is_resumed_to_the_same_folder(tmp_path: Path) -> None:
    """It has a cluster of its own, which ends with it."""
    model, prompts, out = write_toy(tmp_path / "toy"), tmp_path / "prompts.txt", tmp_path / "ray"
    prompts.write_text("".join(f"prompt {number}\n" for number in range(100)))
    options = ["--model", str(model), "--steps", "20", "--seed", "1", "--plugin-dir", str(PLUGIN), "--quiet"]
    command = [sys.executable, "-m", "latentry", "batch", str(prompts), "--output", str(out), *options]
    environment = {**os.environ, "PYTHONPATH": TESTS, "OMP_NUM_THREADS": "1"}
    environment.pop("RAY_ADDRESS", None)
    finished = []
    for resume in ([], ["--resume"]):
        with subprocess.Popen(
            [*command, "--executor", "ray", "--workers", "2", *resume], env=environment, start_new_session=True
        ) as process:
            while not resume and process.poll() is None:
                if (out / "manifest.jsonl").exists() and len((out / "manifest.jsonl").read_text().splitlines()) > 10:
                    process.send_signal(signal.SIGKILL)
                    break
                time.sleep(0.01)
        finished.append((process.returncode, len(list(out.glob("*.png")))))
    assert finished[0][0] == -signal.SIGKILL
    assert 10 <= finished[0][1] < 100
    assert finished[1] == (0, 100)
    fields: list[dict[str, Any]] = [{"prompt": f"prompt {number}"} for number in range(100)]
    common, settings = {"model": str(model), "steps": 20}, BatchSettings(plugin_dirs=(PLUGIN,))
    host = PluginHost(plugin_dirs=[PLUGIN])
    run_batch(host, BatchFolder(tmp_path / "local", seed=1), fields, common, settings=settings)
    shown = {name: data for name, data in contents(out).items() if not name.startswith(".")}
    assert shown == contents(tmp_path / "local")
