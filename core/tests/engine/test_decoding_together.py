"""Pictures that several jobs finish at the same time are decoded in one pass, and none depends on the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import wait
from contextlib import ExitStack, contextmanager
from threading import Barrier, Event
from typing import Any

import pytest
import torch
from torch import Tensor

from latentry import Engine, GenerationRequest, IncompatibleError, JobCancelled, PluginHost, ProgressEvent
from latentry._guidance._rows import Rows
from latentry._jobs._device import Device
from latentry._jobs._shared import POSITIONS, Decoding, Evaluation
from latentry.models import Conditioning

LONG = 60.0


class Autoencoder:
    """Adds a channel-wise offset; fails where a picture holds a 13. Its denoiser does nothing."""

    rows_of_timesteps = True
    dtype = torch.float32

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.networks: dict[str, Any] = {}

    def decode(self, latents: Tensor) -> Tensor:
        if (latents == 13).any():
            raise IncompatibleError("Thirteen.")
        self.calls.append(("decode", len(latents)))
        return latents + 1

    def predict(self, x: Tensor, timestep: Any, conditioning: Conditioning, *, skip_layers: Any = ()) -> Tensor:
        self.calls.append(("predict", len(x)))
        return x


def to_decode(model: Any, *values: float, side: int = 1) -> Decoding:
    return Decoding(model, torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 3, side, side))


def to_evaluate(model: Any) -> Evaluation:
    return Evaluation(Rows(model, torch.zeros(1, 3, 1, 1), 1.0, Conditioning({"text": torch.zeros(1, 1)})))


def answers(device: Device, works: Sequence[Any]) -> list[Any]:
    """What each gets, where all have asked before the device may begin."""
    with ExitStack() as others:
        for _ in range(len(works) + 1):  # one of them has not asked yet
            others.enter_context(device.sampling())
        asked = [device.share(work) for work in works]
        assert not wait(asked, 0.05).done
    return [each.exception(LONG) or each.result(LONG)[:, 0, 0, 0].tolist() for each in asked]


def test_those_that_wait_go_in_one_pass_and_come_out_apart() -> None:
    model = Autoencoder()
    found = answers(Device(), [to_decode(model, 1), to_decode(model, 2, 3), to_decode(model, 4)])
    assert found == [[2], [3, 4], [5]]
    assert model.calls == [("decode", 4)]


def test_a_fault_is_that_of_one_picture() -> None:
    found = answers(Device(), [to_decode(model := Autoencoder(), value) for value in (1, 13, 3)])
    assert [found[0], found[2]] == [[2], [4]]
    assert isinstance(found[1], IncompatibleError)
    assert ("decode", 3) not in model.calls


def test_batch_invariant_ones_are_decoded_alone() -> None:
    model = Autoencoder()
    assert answers(Device(batch_invariant=True), [to_decode(model, value) for value in (1, 2)]) == [[2], [3]]
    assert model.calls == [("decode", 1)] * 2


@pytest.mark.parametrize("side", [1, 16, 32, 64, 128])
def test_no_pass_needs_more_memory_than_one_larger_picture(side: int) -> None:
    model = Autoencoder()
    answers(Device(), [to_decode(model, float(value), side=side) for value in range(6)])
    assert sum(rows for _, rows in model.calls) == 6
    assert all(rows == 1 or rows * side * side <= POSITIONS for _, rows in model.calls)


def test_other_sizes_and_other_models_go_apart() -> None:
    one, other = Autoencoder(), Autoencoder()
    answers(Device(), [to_decode(one, 1), to_decode(one, 2, side=2), to_decode(other, 3), to_decode(one, 4)])
    assert one.calls == [("decode", 2), ("decode", 1)]
    assert other.calls == [("decode", 1)]


def test_pictures_come_before_evaluations() -> None:
    model = Autoencoder()
    answers(Device(), [to_evaluate(model), to_decode(model, 1), to_evaluate(model), to_decode(model, 2)])
    assert model.calls == [("decode", 2), ("predict", 2)]


def request(model: str, **wanted: Any) -> GenerationRequest:
    return GenerationRequest(**({"prompt": "a", "model": model, "steps": 4, "scheduler": "first"} | wanted))


@contextmanager
def decoded(network: Any) -> Iterator[list[int]]:
    """How many pictures each call decodes."""
    found, original = list[int](), network.decode

    def decode(latents: Tensor) -> Tensor:
        found.append(len(latents))
        pixels: Tensor = original(latents)
        return pixels

    network.decode = decode
    try:
        yield found
    finally:
        network.decode = original


def together(engine: Engine, wanted: Sequence[GenerationRequest], at: str = "encode") -> list[Any]:
    """Jobs that all wait for one another at the beginning of a stage."""
    barrier = Barrier(len(wanted))

    def meet(event: ProgressEvent) -> None:
        if event.stage == at and event.done in (0, event.total):
            barrier.wait(LONG)

    return [engine.submit(each, progress=meet) for each in wanted]


@pytest.mark.parametrize("invariant", [False, True])
def test_jobs_that_end_at_the_same_step_are_decoded_together(host: PluginHost, model: str, invariant: bool) -> None:
    wanted = [request(model, seed=seed, steps=4 if seed < 3 else 6) for seed in range(5)]
    alone = [Engine(host).generate(each) for each in wanted]
    engine = Engine(host, batch_invariant=invariant)
    with decoded(engine.load(engine.prepare(wanted[0]))) as calls:
        found = [job.result(LONG) for job in together(engine, wanted)]
    assert sum(calls) == 5
    assert (max(calls) == 1) == invariant
    for ours, own in zip(found, alone, strict=True):
        assert float((ours.latents - own.latents).abs().max()) <= (0 if invariant else 1e-4)
        levels = [torch.tensor(list(each.images[0].tobytes()), dtype=torch.int16) for each in (ours, own)]
        assert int((levels[0] - levels[1]).abs().max()) <= (0 if invariant else 1)


def test_one_that_is_cancelled_meanwhile_takes_no_other_with_it(engine: Engine, model: str) -> None:
    network: Any = engine.load(engine.prepare(request(model)))
    reached, opened, original = Event(), Event(), network.decode

    def decode(latents: Tensor) -> Tensor:
        reached.set()
        assert opened.wait(LONG)
        pixels: Tensor = original(latents)
        return pixels

    network.decode = decode
    jobs = together(engine, [request(model, seed=seed) for seed in range(3)])
    assert reached.wait(LONG)
    assert jobs[1].cancel()
    with pytest.raises(JobCancelled):
        jobs[1].result(0)
    opened.set()
    assert [len(jobs[number].result(LONG).images) for number in (0, 2)] == [1, 1]
