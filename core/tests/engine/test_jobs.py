"""Jobs: what is submitted comes out as by ``generate``, and can be followed, cancelled, skipped and paused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import torch
from PIL import Image
from support.toy import write_toy

from latentry import (
    DeadlinePassed,
    Drawn,
    Ended,
    Engine,
    GenerationRequest,
    IncompatibleError,
    Job,
    JobCancelled,
    OptionError,
    PluginHost,
    Previewed,
    ProgressEvent,
    Queued,
    RecipeError,
    Started,
    Stepped,
)
from latentry._jobs._company import InJob

LONG = 60.0
"""Seconds in which everything here must have happened."""


def request(model: str, **wanted: Any) -> GenerationRequest:
    return GenerationRequest(**({"prompt": "a", "model": model, "seed": 5, "steps": 6, "scheduler": "first"} | wanted))


class Gate:
    """Stops the thread that comes through, until it is opened."""

    def __init__(self) -> None:
        self.reached, self.opened = Event(), Event()

    def __call__(self) -> None:
        self.reached.set()
        assert self.opened.wait(LONG)


@contextmanager
def gated(owner: Any, method: str, *, on: int = 1) -> Iterator[Gate]:
    """A gate before the n-th call of a method; opened at the end in any case."""
    gate, original, calls = Gate(), getattr(owner, method), [0]

    def call(*given: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] == on:
            gate()
        return original(*given, **options)

    setattr(owner, method, call)
    try:
        yield gate
    finally:
        gate.opened.set()
        setattr(owner, method, original)


def loaded(engine: Engine, model: str) -> Any:
    return engine.load(engine.prepare(request(model)))


@pytest.mark.parametrize("scheduler", ["first", "noisy", "two-stage", "halving", "greedy"])
def test_a_job_gives_what_generate_gives(engine: Engine, model: str, scheduler: str) -> None:
    batch = {} if scheduler == "halving" else {"batch": 2}  # it draws one at a time anyway
    wanted = request(model, scheduler=scheduler, count=3, **batch)
    meant, found = engine.generate(wanted), engine.submit(wanted).result(LONG)
    assert torch.equal(found.latents, meant.latents)
    assert [image.tobytes() for image in found.images] == [image.tobytes() for image in meant.images]
    assert (found.recipes, found.notes, found.evaluations) == (meant.recipes, meant.notes, meant.evaluations)


def test_a_job_starts_from_pictures_too(engine: Engine, model: str) -> None:
    picture, mask = Image.radial_gradient("L").resize((32, 32)), Image.new("L", (32, 32), 255)
    wanted = request(model, strength=0.5)
    meant = engine.generate(wanted, init_image=picture, mask=mask)
    assert torch.equal(engine.submit(wanted, init_image=picture, mask=mask).result(LONG).latents, meant.latents)


def test_events_tell_all_from_the_first_to_every_reader(engine: Engine, model: str) -> None:
    job = engine.submit(request(model, count=2, batch=1, steps=2))
    told = list(job.events())
    assert told == list(job.events())
    assert (told[0], told[1], told[-1]) == (Queued(), Started(), Ended("done"))
    stages = [event.event.stage for event in told if isinstance(event, Stepped)]
    one = ["encode", "sample", "sample", "sample", "decode"]
    assert stages == ["load", *one, *one, "done"]
    assert all(event.event.run is None for event in told if isinstance(event, Stepped))
    drawn = [event.result for event in told if isinstance(event, Drawn)]
    assert [recipe.index for each in drawn for recipe in each.recipes] == [0, 1]
    assert torch.equal(torch.cat([each.latents for each in drawn]), job.result().latents)
    assert (job.state, job.request.steps) == ("done", 2)


def test_event_loops_wait_without_blocking(engine: Engine, model: str) -> None:
    async def follow(job: Job) -> list[Any]:
        return [event async for event in job.aevents()]

    async def all_of_it() -> None:
        job = engine.submit(request(model))
        ticks: list[int] = []

        async def tick() -> None:
            while True:
                ticks.append(1)
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        one, other, result = await asyncio.gather(follow(job), follow(job), job.aresult())
        ticking.cancel()
        assert one == other == list(job.events())
        assert torch.equal(result.latents, job.result().latents)
        assert ticks

    asyncio.run(asyncio.wait_for(all_of_it(), LONG))


def test_giving_up_the_wait_does_not_end_the_job(engine: Engine, model: str) -> None:
    async def give_up(job: Job) -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(job.aresult(), 0.01)

    with gated(loaded(engine, model), "predict") as gate:
        job = engine.submit(request(model))
        assert gate.reached.wait(LONG)
        asyncio.run(give_up(job))
        with pytest.raises(TimeoutError):
            job.result(0.01)
    assert len(job.result(LONG).images) == 1


def test_a_fault_is_in_the_result(engine: Engine, model: str) -> None:
    job = engine.submit(request(model, width=33))
    with pytest.raises(OptionError, match="33"):
        job.result(LONG)
    assert job.state == "failed"
    (ended,) = [event for event in job.events() if isinstance(event, Ended)]
    assert isinstance(ended.error, OptionError)


def test_what_progress_raises_ends_the_job(engine: Engine, model: str) -> None:
    class Enough(Exception):
        pass

    def progress(event: ProgressEvent) -> None:
        if event.stage == "sample" and event.done == 2:
            raise Enough

    job = engine.submit(request(model), progress=progress)
    with pytest.raises(Enough):
        job.result(LONG)
    assert len(engine.submit(request(model)).result(LONG).images) == 1


@pytest.mark.parametrize("method", ["encode_prompt", "predict", "decode", "encode"])
def test_a_cancel_takes_effect_within_one_call_of_a_network(engine: Engine, model: str, method: str) -> None:
    """The result is there at once, and of all that would follow nothing is computed."""
    network = loaded(engine, model)
    picture = {"init_image": Image.new("RGB", (32, 32))} if method == "encode" else {}
    with gated(network, method) as gate:
        job = engine.submit(request(model, count=3, batch=1, strength=0.5 if picture else None), **picture)
        assert gate.reached.wait(LONG)
        network.calls.clear()
        assert job.cancel()
        assert job.state == "cancelled"
        with pytest.raises(JobCancelled):
            job.result(0)
    settled(engine)
    assert len(network.calls) == (method == "predict")
    assert not job.cancel()
    assert list(job.events())[-1].state == "cancelled"  # type: ignore[union-attr]


def settled(engine: Engine) -> None:
    """Waits until no request uses a model."""
    until = time.monotonic() + LONG
    while any(each.used for each in engine.loaded()):
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_cancel_takes_effect_while_the_model_loads_and_while_it_waits(host: PluginHost, model: str) -> None:
    engine = Engine(host)
    checkpoint = type(engine.prepare(request(model)).checkpoint)
    with gated(checkpoint, "load") as gate:
        loading = engine.submit(request(model))
        assert gate.reached.wait(LONG)
        waiting = engine.submit(request(model))
        for job in (waiting, loading):
            assert job.cancel()
            with pytest.raises(JobCancelled):
                job.result(0)
    settled(engine)
    assert len(engine.submit(request(model)).result(LONG).images) == 1


def test_another_attention_waits_its_turn_and_its_cancel_does_not_wait(engine: Engine, model: str) -> None:
    network = loaded(engine, model)
    with gated(network, "predict") as gate:
        first = engine.submit(request(model))
        assert gate.reached.wait(LONG)
        other = engine.submit(request(model, attention="native"))
        while not any(isinstance(event, Stepped) for event in other._course.log._events):
            time.sleep(0.01)
        assert other.cancel()
        with pytest.raises(JobCancelled):
            other.result(0)
    assert len(first.result(LONG).images) == 1
    assert [backend and backend.names for backend in network.backends] == [("toy:able", "native")]


def test_its_wait_is_bounded_by_what_is_ahead_of_it(
    engine: Engine, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of thirty later jobs with the attention that is in use none is drawn before it, and all three ahead are.

    So many rows go through the network until its first evaluation as those ahead have, and no more.
    """
    ended: list[int] = []
    rows: list[int] = []
    in_line, wait = Event(), InJob.wait

    def waiting(self: InJob, ready: Event) -> None:
        in_line.set()
        wait(self, ready)

    monkeypatch.setattr(InJob, "wait", waiting)

    def submit(number: int, **wanted: Any) -> Job:
        def progress(event: ProgressEvent) -> None:
            if event.stage == "decode":  # while it still holds the model's settings
                ended.append(number)
            if number == 3 and event.stage == "sample" and not rows:
                rows.append(sum(count for count, _ in network.calls) - before)

        return engine.submit(request(model, seed=number, **wanted), progress=progress)

    network = loaded(engine, model)
    before = sum(count for count, _ in network.calls)
    with gated(network, "predict") as gate:
        jobs = [submit(number) for number in range(3)]
        assert gate.reached.wait(LONG)
        jobs.append(submit(3, attention="native"))
        assert in_line.wait(LONG)
        jobs += [submit(number) for number in range(4, 34)]
    for job in jobs:
        job.result(LONG)
    assert sorted(ended[:3]) == [0, 1, 2]
    assert ended[3] == 3
    alone = sum(count for count, _ in network.calls) - before
    assert rows[0] == 3 * alone / len(jobs)


def test_finished_pictures_are_kept_where_that_is_asked_for(engine: Engine, model: str) -> None:
    wanted = request(model, count=3, batch=1)
    meant = engine.generate(wanted)
    with gated(loaded(engine, model), "predict", on=8) as gate:
        job = engine.submit(wanted)
        assert gate.reached.wait(LONG)
        assert job.cancel(keep=True)
    found = job.result(LONG)
    assert torch.equal(found.latents, meant.latents[:1])
    assert (job.state, [recipe.index for recipe in found.recipes]) == ("done", [0])


def test_nothing_to_keep_is_a_cancel(engine: Engine, model: str) -> None:
    with gated(loaded(engine, model), "predict") as gate:
        job = engine.submit(request(model))
        assert gate.reached.wait(LONG)
        assert job.cancel(keep=True)
    with pytest.raises(JobCancelled):
        job.result(LONG)
    assert job.state == "cancelled"


@pytest.mark.parametrize(("method", "call"), [("predict", 8), ("decode", 2)])
def test_a_skipped_batch_is_left_out_and_no_other(engine: Engine, model: str, method: str, call: int) -> None:
    wanted = request(model, count=3, batch=1)
    meant = engine.generate(wanted)
    with gated(loaded(engine, model), method, on=call) as gate:
        job = engine.submit(wanted)
        assert gate.reached.wait(LONG)
        assert job.skip()
    found = job.result(LONG)
    assert [recipe.index for recipe in found.recipes] == [0, 2]
    assert torch.equal(found.latents, meant.latents[[0, 2]])
    assert not job.skip()


def test_a_job_of_which_all_is_skipped_has_no_result(engine: Engine, model: str) -> None:
    with gated(loaded(engine, model), "predict") as gate:
        job = engine.submit(request(model))
        assert gate.reached.wait(LONG)
        job.skip()
    with pytest.raises(JobCancelled):
        job.result(LONG)


@pytest.mark.parametrize("call", range(1, 14, 2))
@pytest.mark.parametrize("scheduler", ["noisy", "two-stage", "halving"])
def test_a_paused_job_goes_on_to_the_same_bits(host: PluginHost, model: str, scheduler: str, call: int) -> None:
    """In the middle of steps too, and by an engine that knows nothing of it."""
    batch = {} if scheduler == "halving" else {"batch": 2}  # it draws one at a time anyway
    wanted = request(model, scheduler=scheduler, count=3, guidance=2.5, guidance_method="carrying", **batch)
    meant, engine = Engine(host).generate(wanted), Engine(host)
    state = paused(engine, loaded(engine, model), wanted, call)
    found = Engine(host).resume(state).result(LONG)
    assert torch.equal(found.latents, meant.latents)
    assert [image.tobytes() for image in found.images] == [image.tobytes() for image in meant.images]
    assert (found.recipes, found.evaluations) == (meant.recipes, meant.evaluations)


def paused(engine: Engine, network: Any, wanted: GenerationRequest, call: int, **given: Any) -> bytes:
    with gated(network, "predict", on=call) as gate:
        job = engine.submit(wanted, **given)
        assert gate.reached.wait(LONG)
        job._course.ask("pause")
    state = job.pause(LONG)
    assert job.state == "paused"
    with pytest.raises(JobCancelled):
        job.result(0)
    return state


def test_pictures_of_the_program_are_saved_with_a_job(host: PluginHost, model: str) -> None:
    engine, picture = Engine(host), Image.radial_gradient("L").resize((40, 32))
    mask = Image.linear_gradient("L").resize((40, 32))
    given: dict[str, Any] = {"init_image": picture, "mask": mask}
    wanted = request(model, strength=0.75, width=32, height=32)
    meant = engine.generate(wanted, **given)
    state = paused(engine, loaded(engine, model), wanted, 2, **given)
    found = Engine(host).resume(state).result(LONG)
    assert torch.equal(found.latents, meant.latents)
    assert found.recipes == meant.recipes


def test_a_job_that_waits_can_be_paused_and_an_ended_one_cannot(engine: Engine, model: str) -> None:
    with gated(loaded(engine, model), "predict") as gate:
        first = engine.submit(request(model))
        assert gate.reached.wait(LONG)
        waiting = engine.submit(request(model, attention="native", seed=8))
        state = waiting.pause(LONG)
    assert torch.equal(
        engine.resume(state).result(LONG).latents, engine.generate(request(model, attention="native", seed=8)).latents
    )
    first.result(LONG)
    with pytest.raises(IncompatibleError, match="done"):
        first.pause()


def test_a_seed_that_was_left_open_is_kept(host: PluginHost, model: str) -> None:
    engine = Engine(host)
    state = paused(engine, loaded(engine, model), request(model, seed=None), 4)
    one, other = (Engine(host).resume(state).result(LONG) for _ in range(2))
    assert torch.equal(one.latents, other.latents)


@pytest.mark.parametrize("damage", [lambda state: b"", lambda state: state[:40], lambda state: b"\x00" * 100])
def test_other_bytes_are_refused(engine: Engine, model: str, damage: Callable[[bytes], bytes]) -> None:
    state = paused(engine, loaded(engine, model), request(model), 2)
    with pytest.raises(RecipeError, match="not a saved job"):
        engine.resume(damage(state))


def test_a_job_of_a_changed_model_is_refused(engine: Engine, tmp_path: Path) -> None:
    folder = write_toy(tmp_path / "model")
    state = paused(engine, loaded(engine, str(folder)), request(str(folder)), 2)
    write_toy(folder, pale=0.5)
    with pytest.raises(RecipeError, match="not the one"):
        Engine(engine.host).resume(state).result(LONG)


def test_a_deadline_that_passes_fails_the_job(engine: Engine, model: str) -> None:
    with gated(loaded(engine, model), "predict") as gate:
        job = engine.submit(request(model), deadline=2)  # time enough to come to the gate on a busy machine
        assert gate.reached.wait(LONG)
        with pytest.raises(DeadlinePassed):
            job.result(LONG)
    assert job.state == "failed"
    assert len(engine.submit(request(model), deadline=LONG).result(LONG).images) == 1


def test_previews_come_while_a_job_is_drawn(engine: Engine, model: str) -> None:
    job = engine.submit(request(model, count=2, steps=6), previews=2)
    result = job.result(LONG)
    shown = [event for event in job.events() if isinstance(event, Previewed)]
    assert [event.index for event in shown] == [0, 1]  # of each picture the newest
    assert torch.equal(result.latents, engine.generate(request(model, count=2, steps=6)).latents)
    for event in shown:
        ours, final = (
            image.resize((4, 4), Image.Resampling.BOX) for image in (event.image, result.images[event.index])
        )
        assert event.image.size == (32, 32)
        assert max(abs(a - b) for a, b in zip(ours.tobytes(), final.tobytes(), strict=True)) < 60


def test_a_glimpse_is_of_the_last_evaluation(engine: Engine, model: str) -> None:
    """At the end of a run without noise in the data's place x0 is the picture."""
    seen: list[torch.Tensor] = []

    def look(event: ProgressEvent) -> None:
        if event.glimpse is not None:
            assert event.glimpse.pictures == (0, 1)
            seen.append(event.glimpse.x0())

    result = engine.generate(request(model, scheduler="first", count=2, final="zero"), progress=look)
    assert len(seen) == 6
    assert torch.allclose(seen[-1], result.latents, atol=1e-6)
    assert float((seen[0] - result.latents).abs().max()) > 0.01
