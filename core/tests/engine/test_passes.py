"""Evaluations of several jobs in one pass: who goes with whom, and that no picture depends on it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from support.toy import write_toy
from torch import Tensor, nn

from latentry import Engine, GenerationRequest, IncompatibleError, PluginHost, ProgressEvent
from latentry._capture._captured import Captures, captured
from latentry._guidance._rows import Rows
from latentry._jobs import _shared
from latentry._jobs._device import Device
from latentry._jobs._shared import Evaluation, Shared
from latentry.models import Conditioning

LONG = 60.0
MIXED: Sequence[dict[str, Any]] = (
    {"scheduler": "first", "steps": 5},
    {"scheduler": "noisy", "steps": 4, "guidance": 1.0},
    {"scheduler": "two-stage", "steps": 3, "prompt": "b"},
    {"scheduler": "halving", "steps": 2, "sigmas": "leading"},
    {"scheduler": "first", "steps": 7, "guidance": 5.0, "count": 2},
    {"scheduler": "noisy", "steps": 5, "negative": "c d"},
)


@pytest.fixture
def rows(tmp_path: Path) -> str:
    """A model that takes a timestep for each row."""
    return str(write_toy(tmp_path / "rows", rows=True))


def requests(model: str) -> list[GenerationRequest]:
    return [
        GenerationRequest(**({"prompt": "a", "model": model, "seed": seed} | wanted))
        for seed, wanted in enumerate(MIXED)
    ]


def together(engine: Engine, wanted: Sequence[GenerationRequest]) -> list[Tensor]:
    """The latents of jobs that all wait for one another before their first evaluation."""
    barrier = Barrier(len(wanted))

    def meet(event: ProgressEvent) -> None:
        if event.stage == "encode" and event.done == 0:
            barrier.wait(LONG)

    jobs = [engine.submit(each, progress=meet) for each in wanted]
    return [job.result(LONG).latents for job in jobs]


def test_unlike_requests_share_passes_and_get_what_each_gets_alone(host: PluginHost, rows: str) -> None:
    wanted = requests(rows)
    alone = [Engine(host).generate(each).latents for each in wanted]
    engine = Engine(host)
    network: Any = engine.load(engine.prepare(wanted[0]))
    found = together(engine, wanted)
    assert max(float((a - b).abs().max()) for a, b in zip(found, alone, strict=True)) < 1e-4
    assert max(len(set(times)) for times in network.passes) >= 3


def test_a_model_that_takes_one_timestep_gets_one(host: PluginHost, model: str) -> None:
    wanted = requests(model)
    alone = [Engine(host).generate(each).latents for each in wanted]
    engine = Engine(host)
    network: Any = engine.load(engine.prepare(wanted[0]))
    found = together(engine, wanted)
    assert max(float((a - b).abs().max()) for a, b in zip(found, alone, strict=True)) < 1e-4
    assert network.passes == []


def test_batch_invariant_jobs_have_the_bits_that_each_has_alone(host: PluginHost, rows: str) -> None:
    wanted = requests(rows)
    alone = [Engine(host).generate(each).latents for each in wanted]
    engine = Engine(host, batch_invariant=True)
    network: Any = engine.load(engine.prepare(wanted[0]))
    assert all(torch.equal(a, b) for a, b in zip(together(engine, wanted), alone, strict=True))
    assert network.passes == []


class Network:
    """Doubles its rows; fails where they hold a 13, and on more rows than it has room for."""

    rows_of_timesteps = True
    dtype = torch.float32

    def __init__(self, room: int = 1000) -> None:
        self.room, self.passes = room, list[list[float]]()
        self.networks = {"unet": nn.Identity()}

    def predict(self, x: Tensor, timestep: Any, conditioning: Conditioning, *, skip_layers: Any = ()) -> Tensor:
        if len(x) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        if (x == 13).any():
            raise IncompatibleError("Thirteen.")
        self.passes.append(x.flatten().tolist())
        doubled: Tensor = 2 * self.networks["unet"](x)
        return doubled


def asked(network: Any, *values: float, timestep: float = 1.0, length: int = 1) -> Evaluation:
    x = torch.tensor(values).view(-1, 1, 1, 1)
    return Evaluation(Rows(network, x, timestep, Conditioning({"text": torch.zeros(len(values), length)})))


def answers(device: Device, several: Sequence[Shared]) -> list[Any]:
    """What each gets, where all are members before the first asks."""
    together = Barrier(len(several))

    def ask(rows: Shared) -> Any:
        with device.sampling():
            together.wait(LONG)
            return device.share(rows).exception(LONG) or device.share(rows).result(LONG).flatten().tolist()

    with ThreadPoolExecutor(len(several)) as pool:
        return list(pool.map(ask, several))


def test_rows_of_one_kind_go_together_and_others_apart() -> None:
    network, other = Network(), Network()
    several = [asked(network, 1), asked(network, 2, 3, timestep=5), asked(network, 4, length=2), asked(other, 5)]
    assert answers(Device(), several) == [[2], [4, 6], [8], [10]]
    assert sorted(sorted(each) for each in network.passes) == [[1, 2, 3], [1, 2, 3], [4], [4]]


def test_a_pass_of_several_waits_longer_for_its_graph_than_one_request_does() -> None:
    network, captures = Network(), Captures("graph", after_shared=3)
    with captured(network.networks["unet"], captures):
        for _ in range(3):
            assert answers(Device(batch_invariant=True), [asked(network, 1)]) == [[2]]
        assert rows_of_graphs(captures) == [1]
        for graphs in ([1], [1, 2]):
            assert answers(Device(), [asked(network, 1), asked(network, 2)]) == [[2], [4]]
            assert answers(Device(), [asked(network, 1)]) == [[2]]
            assert rows_of_graphs(captures) == graphs


def rows_of_graphs(captures: Captures) -> list[int]:
    return sorted(kind.items[0].items[0].shape[0] for kind in captures.graphs)  # type: ignore[union-attr]


def test_a_fault_of_one_request_is_its_own() -> None:
    network = Network()
    found = answers(Device(), [asked(network, 1), asked(network, 13), asked(network, 3)])
    assert [found[0], found[2]] == [[2], [6]]
    assert isinstance(found[1], IncompatibleError)


def test_where_memory_runs_out_the_pass_is_halved_and_stays_so() -> None:
    network = Network(room=3)
    several = [asked(network, value) for value in range(8)]
    assert answers(Device(), several) == [[2 * value] for value in range(8)]
    assert max(map(len, network.passes)) <= 3
    assert len(network.passes) <= 10
    alone = Network(room=0)
    (error,) = answers(Device(), [asked(alone, 1)])
    assert isinstance(error, torch.OutOfMemoryError)


def test_with_more_rows_than_fit_every_run_is_in_each_third_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven runs of one row, three rows to a pass: nobody is overtaken."""
    monkeypatch.setattr(_shared, "MOST_ROWS", 3)
    network, device = Network(), Device()
    barrier = Barrier(7)

    def run(value: int) -> None:
        with device.sampling():
            barrier.wait(LONG)
            for _ in range(6):
                device.share(asked(network, value)).result(LONG)

    with ThreadPoolExecutor(7) as pool:
        list(pool.map(run, range(7)))
    assert max(map(len, network.passes)) == 3
    for value in range(7):
        taken = [-1, *(number for number, rows in enumerate(network.passes) if value in rows)]
        assert len(taken) == 7
        assert max(later - earlier for earlier, later in pairwise(taken)) <= 3


def test_a_run_that_is_away_or_gone_is_not_waited_for() -> None:
    network, device = Network(), Device()
    with device.sampling():
        with device.sampling():
            asking = device.share(asked(network, 1))
            assert not wait([asking], 0.05).done
        assert asking.result(LONG).item() == 2
        with device.sampling():
            asking = device.share(asked(network, 1))
            assert not wait([asking], 0.05).done
            with device.away():
                assert asking.result(LONG).item() == 2


@pytest.mark.parametrize(("side", "rows"), [(32, 32), (64, 32), (128, 8), (4096, 1)])
def test_a_pass_fits_into_half_of_the_free_memory(monkeypatch: pytest.MonkeyPatch, side: int, rows: int) -> None:
    """Of 16 GiB that are free, or reserved and not used: float16 at 128 by 128 latents takes 0.5 GiB a row."""
    gib = 2**30
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (6 * gib, 80 * gib))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 12 * gib)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 10 * gib)
    x = SimpleNamespace(device=torch.device("cuda"), shape=(1, 4, side, side), element_size=lambda: 2)
    assert min(_shared.fitting(x), _shared.MOST_ROWS) == rows  # type: ignore[arg-type]


def test_work_is_done_while_runs_are_waited_for() -> None:
    device = Device()
    with device.sampling():
        assert device.run(lambda: 3).result(LONG) == 3
        failing = device.run(lambda: 1 // 0)
        assert isinstance(failing.exception(LONG), ZeroDivisionError)


def test_what_is_given_up_is_not_computed() -> None:
    network, device = Network(), Device()
    with device.sampling(), device.sampling():
        assert device.share(asked(network, 1)).cancel()
        one, other = device.share(asked(network, 2)), device.share(asked(network, 3))
        assert one.result(LONG).tolist() + other.result(LONG).tolist() == [[[[4.0]]], [[[6.0]]]]
    assert network.passes == [[2, 3]]
