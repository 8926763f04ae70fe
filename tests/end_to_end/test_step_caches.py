"""``step_cache``: off unless asked for, told, recorded, repeated, and never in the history of a multistep scheduler."""

from __future__ import annotations

from functools import partialmethod
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import torch
from support.families import TINY

from latentry import (
    Engine,
    GenerationRequest,
    IncompatibleError,
    Job,
    MemoryPolicy,
    OptionError,
    PluginHost,
    ProgressEvent,
    Run,
)
from latentry._guidance._run_caches import RunCaches
from latentry.models import CachedPass, CacheMemory
from latentry_diffusers.model import step_cache

SIDE, STEPS = 32, 7
SD, FLUX = "latentry-sd:sd", "latentry-flux:flux"
KIND = {
    SD: "deep:2",
    FLUX: "first-block:0.8",
    "latentry-flux2:flux2": "taylor:2",
    "latentry-qwen-image:qwen-image": "taylor:2",
    "latentry-z-image:z-image": "taylor:2",
}


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(PluginHost())


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {family: TINY[family].write(tmp_path_factory.mktemp("made") / "model") for family in KIND}


def request(folder: Path, **changed: Any) -> GenerationRequest:
    told: dict[str, Any] = {"seed": 4, "steps": STEPS, "width": SIDE, "height": SIDE, "scheduler": "unipc"}
    return GenerationRequest(prompt="a red circle", model=str(folder), **(told | changed))


@pytest.mark.parametrize("family", KIND)
def test_made_up_answers_are_counted_and_marked(
    engine: Engine, folders: dict[str, Path], family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every answer of the run that a cache made up is said not to be real, so that no scheduler remembers it."""
    plain = engine.generate(request(folders[family]))
    advance, told = Run.advance, list[bool]()

    def noting(run: Run, output: Any, *, uncond: Any = None, real: bool = True) -> None:
        told.append(real)
        advance(run, output, uncond=uncond, real=real)
        if not real:  # a table knows nothing of such answers
            assert run._walk is None

    with monkeypatch.context() as patched:
        patched.setattr(Run, "advance", noting)
        cached = engine.generate(request(folders[family], step_cache=KIND[family]))
    assert cached.made_up == told[:STEPS].count(False) > 0
    assert cached.evaluations == plain.evaluations == STEPS
    assert not torch.equal(cached.latents, plain.latents)
    again = engine.generate(request(folders[family]))
    assert torch.equal(again.latents, plain.latents)
    assert again.made_up == 0


@pytest.mark.parametrize("family", KIND)
def test_without_one_nothing_of_it_runs(
    engine: Engine, folders: dict[str, Path], family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither what keeps values nor what stands in for blocks; families are not told of it."""
    made: list[type] = []

    def noting(self: Any, *args: Any, begin: Any, **kwargs: Any) -> None:
        made.append(type(self))
        begin(self, *args, **kwargs)

    kinds: tuple[type, ...] = (RunCaches, CacheMemory, CachedPass, step_cache._Pass)
    for kind in kinds:
        monkeypatch.setattr(kind, "__init__", partialmethod(noting, begin=vars(kind)["__init__"]))
    engine.generate(request(folders[family], guidance=2.0, steps=3))
    assert made == []
    engine.generate(request(folders[family], guidance=2.0, steps=3, step_cache=KIND[family]))
    assert set(made) == set(kinds)


@pytest.mark.parametrize("family", KIND)
def test_a_recipe_repeats_it(engine: Engine, folders: dict[str, Path], family: str) -> None:
    result = engine.generate(request(folders[family], step_cache=KIND[family].partition(":")[0], guidance=3.0))
    (recipe,) = result.recipes
    assert recipe.request.step_cache is not None
    assert ":" in recipe.request.step_cache, "the number is recorded"
    assert torch.equal(engine.reproduce(recipe).latents, result.latents)


@pytest.mark.parametrize("family", KIND)
def test_a_picture_does_not_depend_on_its_neighbours(engine: Engine, folders: dict[str, Path], family: str) -> None:
    """In a batch, and in passes that jobs of other steps share."""
    told = {"step_cache": KIND[family], "guidance": 2.0}
    wanted = [request(folders[family], seed=seed, steps=3 + seed, **told) for seed in (1, 2, 3)]
    alone = [engine.generate(each) for each in wanted]
    jobs = [engine.submit(each) for each in wanted]
    for job, meant in zip(jobs, alone, strict=True):
        found = job.result(120.0)
        assert found.made_up == meant.made_up
        assert torch.allclose(found.latents, meant.latents, atol=1e-4)
    both = engine.generate(wanted[0].model_copy(update={"count": 2}))
    assert torch.allclose(both.latents[:1], alone[0].latents, atol=1e-4)


def test_a_paused_job_goes_on_to_the_same_bits(engine: Engine, folders: dict[str, Path]) -> None:
    """What the cache keeps is saved with it."""
    wanted = request(folders[FLUX], step_cache=KIND[FLUX], guidance=2.0)
    meant, jobs, there = engine.generate(wanted), list[Job](), Event()

    def stop(event: ProgressEvent) -> None:
        if event.stage == "sample" and event.done == 3:
            assert there.wait(60.0)
            jobs[0]._course.ask("pause")

    jobs.append(engine.submit(wanted, progress=stop))
    there.set()
    found = Engine(PluginHost()).resume(jobs[0].pause(60.0)).result(60.0)
    assert torch.equal(found.latents, meant.latents)
    assert found.made_up == meant.made_up


@pytest.mark.parametrize(
    ("family", "changed", "error", "message"),
    [
        (SD, {"step_cache": "taylor"}, IncompatibleError, "has no step cache 'taylor'"),
        (FLUX, {"step_cache": "deep"}, IncompatibleError, "has no step cache 'deep'"),
        (SD, {"step_cache": "deep", "width": 64, "denoise_tile": 32}, IncompatibleError, "denoise_tile"),
        (SD, {"step_cache": "deep", "steps": 1}, OptionError, "no effect"),
        (SD, {"step_cache": "deep", "capture": "script"}, OptionError, "cannot be captured"),
    ],
)
def test_what_does_not_go_with_it(
    engine: Engine, folders: dict[str, Path], family: str, changed: dict[str, Any], error: type, message: str
) -> None:
    with pytest.raises(error, match=message):
        engine.prepare(request(folders[family], **changed))


def test_graphs_that_are_automatic_give_way(folders: dict[str, Path]) -> None:
    setup = Engine(PluginHost(), MemoryPolicy(capture="auto")).prepare(request(folders[SD], step_cache="deep"))
    assert setup.memory.capture == "off"
