"""A batch on a cluster of two workers is the batch of one process, whoever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support.toy import PLUGIN, write_toy

from latentry import PluginHost
from latentry.batches import BatchFolder, BatchSettings, DrawnLine, Line, run_batch
from latentry.testing import ExecutorSuite

ray = pytest.importorskip("ray")
from latentry_ray.cluster import Drawer, start  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"),
]
TESTS = str(PLUGIN.parents[2])
MORTAL = """
import os, signal, sys
from latentry._cli import main
from latentry.batches import BatchFolder

write, written = BatchFolder.write, []

def mortal(*given):
    write(*given)
    written.append(given)
    if len(written) == 12:
        os.kill(os.getpid(), signal.SIGKILL)

BatchFolder.write = mortal
sys.exit(main(sys.argv[1:]))
"""
"""The command, whose process is killed when it has written twelve lines."""


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """Two workers' worth of this machine."""
    start(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": TESTS, "OMP_NUM_THREADS": "1"}},
    )
    yield
    ray.shutdown()


class TestRay(ExecutorSuite):
    executor = "ray"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_worker_that_is_killed_loses_and_doubles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 100 prompts; one worker ends itself, line in hand, and all others wait until there is one in its place."""
    workers, killed = tmp_path / "workers", tmp_path / "killed"
    workers.mkdir()

    class Mortal(Drawer):
        def __init__(self, settings: BatchSettings) -> None:
            super().__init__(settings)
            self.drawn = 0
            (workers / str(os.getpid())).touch()

        def draw(self, line: Line) -> DrawnLine:
            if self.drawn == 5:
                with suppress(FileExistsError):  # only the first of the workers
                    killed.mkdir()
                    os.kill(os.getpid(), signal.SIGKILL)
            while killed.exists() and len(list(workers.iterdir())) < 3:
                time.sleep(0.01)
            self.drawn += 1
            return super().draw(line)

    monkeypatch.setattr("latentry_ray.cluster.Drawer", Mortal)
    prompts = [{"prompt": f"prompt {number}"} for number in range(100)]
    common = {"model": str(write_toy(tmp_path / "toy")), "steps": 20}
    host = PluginHost(plugin_dirs=[PLUGIN])
    settings = BatchSettings(plugin_dirs=(PLUGIN,), workers=2)
    told: list[int] = []
    failed = run_batch(
        host,
        BatchFolder(tmp_path / "ray", seed=1),
        prompts,
        common,
        executor="ray",
        settings=settings,
        told=lambda done, lines, drawn: told.append(done),
    )
    assert (failed, told) == (0, [*range(101)])
    assert killed.exists()
    assert len(list(workers.iterdir())) == 3  # two, and the one in the place of the killed
    alone = BatchSettings(plugin_dirs=(PLUGIN,))
    run_batch(host, BatchFolder(tmp_path / "local", seed=1), prompts, common, settings=alone)
    assert contents(tmp_path / "ray") == contents(tmp_path / "local")


def test_a_command_that_is_killed_is_resumed_to_the_same_folder(tmp_path: Path) -> None:
    """It has a cluster of its own, which ends with it."""
    model, prompts, out = write_toy(tmp_path / "toy"), tmp_path / "prompts.txt", tmp_path / "ray"
    prompts.write_text("".join(f"prompt {number}\n" for number in range(100)))
    options = ["--model", str(model), "--steps", "20", "--seed", "1", "--plugin-dir", str(PLUGIN), "--quiet"]
    batch = ["batch", str(prompts), "--output", str(out), *options, "--executor", "ray", "--workers", "2"]
    environment = {**os.environ, "PYTHONPATH": TESTS, "OMP_NUM_THREADS": "1"}
    environment.pop("RAY_ADDRESS", None)
    finished = []
    for command in (["-c", MORTAL, *batch], ["-m", "latentry", *batch, "--resume"]):
        ended = subprocess.run([sys.executable, *command], env=environment, start_new_session=True, check=False)
        finished.append((ended.returncode, len(list(out.glob("*.png")))))
    assert finished == [(-signal.SIGKILL, 12), (0, 100)]
    fields: list[dict[str, Any]] = [{"prompt": f"prompt {number}"} for number in range(100)]
    common, settings = {"model": str(model), "steps": 20}, BatchSettings(plugin_dirs=(PLUGIN,))
    host = PluginHost(plugin_dirs=[PLUGIN])
    run_batch(host, BatchFolder(tmp_path / "local", seed=1), fields, common, settings=settings)
    shown = {name: data for name, data in contents(out).items() if not name.startswith(".")}
    assert shown == contents(tmp_path / "local")
