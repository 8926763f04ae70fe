"""Jobs with the shipped models: many at once, in another process, and on engines with different plugins."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import enumerate as running_threads
from typing import Any

import pytest
import torch

from latentry import (
    Engine,
    GenerationRequest,
    GenerationResult,
    JobCancelled,
    PluginHost,
    ProgressEvent,
    Stepped,
    UnknownName,
)

SHIPPED = ("shapes", "shapes-sdxl", "shapes-sd3", "shapes-flux", "shapes-z-image")
THREADS, LONG = 32, 600.0
SECONDS = float(os.environ.get("STRESS_SECONDS", "4"))
MIXED: tuple[dict[str, Any], ...] = (
    {"scheduler": "ddim", "steps": 5},
    {"scheduler": "unipc", "steps": 4, "guidance": 5.0},
    {"scheduler": "euler-ancestral", "steps": 6, "prompt": "a green ring"},
    {"scheduler": "dpmpp-2m", "steps": 3, "sigmas": "karras", "negative": "blue"},
    {"scheduler": "heun", "steps": 2, "guidance": 1.0},
    {"scheduler": "ddim", "steps": 4, "count": 3, "batch": 1},
    {"scheduler": "euler", "steps": 4, "attention": "sliced"},
    {"scheduler": "euler", "steps": 3, "model": "shapes-flux", "prompt": "a yellow star"},
)
"""Schedulers, grids, guidance, prompts, an attention and a model of their own."""


@pytest.fixture(scope="module")
def host() -> PluginHost:
    return PluginHost()


def requests() -> list[GenerationRequest]:
    common = {"prompt": "a red circle left of a blue square", "model": "shapes", "width": 32, "height": 32}
    return [GenerationRequest(**(common | {"seed": seed} | wanted)) for seed, wanted in enumerate(MIXED)]


class Client:
    """One thread: submits what it draws by its seed, and sometimes has second thoughts."""

    def __init__(self, engine: Engine, twins: dict[int, GenerationResult], seed: int) -> None:
        self.engine, self.twins, self.random = engine, twins, random.Random(seed)
        self.finished = self.cancelled = self.paused = 0

    def __call__(self, until: float) -> Client:
        while time.monotonic() < until:
            number = self.random.randrange(len(self.twins))
            job = self.engine.submit(
                requests()[number],
                priority=self.random.choice((-1, 0, 0, 3)),
                deadline=self.random.choice((None, LONG)),
            )
            thought = self.random.choice(("none", "none", "none", "cancel", "keep", "skip", "pause"))
            self.wait(job)
            if thought in ("cancel", "keep"):
                job.cancel(keep=thought == "keep")
            elif thought == "skip":
                job.skip()
            elif thought == "pause":
                try:
                    job = self.engine.resume(job.pause(LONG))
                    self.paused += 1
                except ValueError:
                    assert job.state == "done"  # it was faster
            self.take(number, job)
        return self

    def wait(self, job: Any) -> None:
        """Until some step of the job, or not at all."""
        steps = self.random.randrange(6)
        for event in job.events() if steps else ():
            steps -= isinstance(event, Stepped)
            if steps <= 0:
                return

    def take(self, number: int, job: Any) -> None:
        """Whatever comes out is what its serial twin is."""
        try:
            found = job.result(LONG)
        except JobCancelled:
            self.cancelled += 1
            return
        twin = self.twins[number]
        for latents, recipe in zip(found.latents, found.recipes, strict=True):
            assert float((latents - twin.latents[recipe.index]).abs().max()) < 1e-4
            assert recipe == twin.recipes[recipe.index]
        self.finished += 1


@pytest.mark.slow
def test_every_picture_of_32_threads_is_its_serial_twin(host: PluginHost) -> None:
    """With cancels, skips, pauses and priorities; ``STRESS_SECONDS=60`` for longer."""
    engine, alone = Engine(host, budget=10**9), Engine(host, budget=10**9)
    twins = {number: alone.generate(wanted) for number, wanted in enumerate(requests())}
    clients = [Client(engine, twins, seed) for seed in range(THREADS)]
    before: list[int] = []

    def run(client: Client) -> Client:
        client(time.monotonic() + SECONDS / 2)
        before.append(_memory())
        return client(time.monotonic() + SECONDS / 2)

    with ThreadPoolExecutor(THREADS) as pool:
        for each in pool.map(run, clients, timeout=SECONDS + 2 * LONG):
            assert each.finished + each.cancelled
    assert sum(each.finished for each in clients) > THREADS
    assert sum(each.cancelled for each in clients) > 0
    assert sum(each.paused for each in clients) > 0
    until = time.monotonic() + LONG  # the threads of cancelled jobs leave at their next check
    while any(each.used for each in engine.loaded()) or _job_threads():
        assert time.monotonic() < until
        time.sleep(0.01)
    if before[0]:
        assert _memory() < max(before) + 50 * 2**20


def _job_threads() -> int:
    return sum(thread.name == "latentry-job" for thread in running_threads())


def _memory() -> int:
    """Resident bytes of this process; 0 where that is not known."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS")), 0)


@pytest.mark.slow
@pytest.mark.parametrize("model", SHIPPED)
def test_company_changes_latents_by_less_than_the_page_says(host: PluginHost, model: str) -> None:
    """1e-4 after 20 steps at a guidance of 5, at the model's own size; where a picture is more sensitive, at most four
    times what a change of its noise in the last digits does to it alone.
    """
    engine, draw = Engine(host), random.Random(f"company of {model}")
    wanted = [
        GenerationRequest(
            prompt=draw.choice(("a red circle", "a green ring left of a blue square", "a yellow star")),
            model=model,
            seed=draw.randrange(2**32),
            scheduler=scheduler,
            steps=20,
            guidance=5.0,
        )
        for scheduler in ("ddim", "euler", "unipc", "dpmpp-2m")
    ]
    jobs = [engine.submit(request) for request in wanted]
    for request, job in zip(wanted, jobs, strict=True):
        alone, together = engine.generate(request), job.result(LONG)
        assert together.recipes == alone.recipes
        apart = _apart(together, alone)
        if apart >= 1e-4:
            with engine.network(engine.prepare(request)) as network:
                noise = network.noise([0])
            nudged = engine.generate(request, latents=noise * (1 + 2**-22))
            assert apart < 4 * _apart(nudged, alone), request.scheduler


@pytest.mark.slow
@pytest.mark.parametrize("model", SHIPPED)
def test_batch_invariant_jobs_have_the_bits_of_each_alone(host: PluginHost, model: str) -> None:
    """Whatever they are drawn beside: other schedulers, steps, guidance, lengths of prompts, and a batch of two."""
    engine, draw = Engine(host, batch_invariant=True), random.Random(f"bits of {model}")
    wanted = [
        GenerationRequest(
            prompt=draw.choice(("a red circle", "a green ring left of a blue square on a white background")),
            model=model,
            seed=draw.randrange(2**32),
            scheduler=scheduler,
            steps=draw.randrange(3, 7),
            guidance=draw.choice((1.0, 2.5, 5.0)),
            count=count,
            batch=count,
        )
        for scheduler, count in (("ddim", 1), ("euler-ancestral", 2), ("unipc", 1), ("heun", 1), ("er-sde", 1))
    ]
    started, other = threading.Barrier(len(wanted)), Engine(host)

    def meet(event: ProgressEvent) -> None:
        if event.stage == "sample" and event.run is not None and event.run.index == 0:
            started.wait(LONG)

    jobs = [engine.submit(request, progress=meet) for request in wanted]
    for request, job in zip(wanted, jobs, strict=True):
        together, alone = job.result(LONG), other.generate(request)
        assert torch.equal(together.latents, alone.latents), request.scheduler
        assert [image.tobytes() for image in together.images] == [image.tobytes() for image in alone.images]
        assert together.recipes == alone.recipes


def _apart(one: GenerationResult, other: GenerationResult) -> float:
    return float((one.latents - other.latents).abs().max())


RESUME = """
import sys
from pathlib import Path
import torch
from latentry import Engine, PluginHost
torch.set_num_threads(1)
job = Engine(PluginHost()).resume(Path(sys.argv[1]).read_bytes())
result = job.result(120)
print(result.latents.numpy().tobytes().hex(), *(image.tobytes().hex() for image in result.images))
"""


@pytest.mark.slow
def test_another_process_goes_on_to_the_same_bits(host: PluginHost, tmp_path: Path) -> None:
    """In the middle of a step of Heun's, in the second of three batches."""
    engine, threads = Engine(host), torch.get_num_threads()
    wanted = requests()[4].model_copy(update={"count": 3, "batch": 1, "steps": 4})
    torch.set_num_threads(1)
    try:
        meant = engine.generate(wanted)
        job = engine.submit(wanted)
        for event in job.events():
            if isinstance(event, Stepped) and event.event.done == 6:
                break
        (tmp_path / "state").write_bytes(job.pause(LONG))
    finally:
        torch.set_num_threads(threads)
    done = subprocess.run(
        [sys.executable, "-c", RESUME, str(tmp_path / "state")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    latents, *images = done.stdout.split()
    assert latents == meant.latents.numpy().tobytes().hex()
    assert images == [image.tobytes().hex() for image in meant.images]


def test_two_engines_with_different_plugins_do_not_see_each_other() -> None:
    """In one process and at the same time; the model's class is imported once."""
    common = ("latentry", "latentry-sd", "latentry-diffusers", "latentry-shapes")
    one = Engine(PluginHost(load=(*common, "latentry-ddim")))
    other = Engine(PluginHost(load=(*common, "latentry-unipc")))
    wanted = {
        engine: GenerationRequest(prompt="a red circle", seed=1, steps=2, width=32, height=32, scheduler=scheduler)
        for engine, scheduler in ((one, "ddim"), (other, "unipc"))
    }
    jobs = {engine: engine.submit(request) for engine, request in wanted.items()}
    for engine, job in jobs.items():
        alone = Engine(engine.host).generate(wanted[engine])
        assert torch.allclose(job.result(LONG).latents, alone.latents, atol=1e-5)
    for engine, request in ((one, wanted[other]), (other, wanted[one])):
        with pytest.raises(UnknownName):
            engine.submit(request).result(LONG)
    assert one.load(one.prepare(wanted[one])) is not other.load(other.prepare(wanted[other]))
