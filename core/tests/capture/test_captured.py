"""Networks that run as graphs: the same values, and the same network afterwards."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from latentry._capture._captured import Captures, captured, shared_calls


class Network(nn.Module):
    """Takes what denoisers take: tensors in a dict, constants, and an argument that decides what is computed."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(3))
        self.calls = 0

    def forward(
        self, x: Tensor, timestep: Tensor, *, added: dict[str, Tensor], skip: Any = None, return_dict: bool = False
    ) -> tuple[Tensor]:
        self.calls += 1
        x = x + timestep[:, None] + added["text"]
        for index, layer in enumerate(self.layers):
            if index != skip:
                x = layer(x).tanh()
        return (x,)


@pytest.fixture
def network() -> Network:
    torch.manual_seed(5)
    return Network()


def call(network: nn.Module, seed: int, batch: int = 2, **options: Any) -> Tensor:
    drawn = torch.Generator().manual_seed(seed)
    x, timestep = torch.randn((batch, 8), generator=drawn), torch.rand(batch, generator=drawn)
    with torch.no_grad():
        output: Tensor = network(x, timestep, added={"text": torch.randn((batch, 8), generator=drawn)}, **options)[0]
    return output


def test_a_graph_gives_the_networks_bits_and_python_runs_no_more(network: Network) -> None:
    expected = [call(network, seed) for seed in range(5)]
    with captured(network, Captures("script")):
        call(network, 0)
        made = network.calls
        for seed in range(5):
            assert torch.equal(call(network, seed), expected[seed])
    assert network.calls == made
    assert "forward" not in vars(network)
    call(network, 0)
    assert network.calls == made + 1


@pytest.mark.parametrize(
    "change", [{"batch": 3}, {"skip": 1}, {"return_dict": True}], ids=lambda change: next(iter(change))
)
def test_each_kind_of_call_has_its_own_graph(network: Network, change: dict[str, Any]) -> None:
    expected = call(network, 7, **change)
    captures = Captures("script")
    with captured(network, captures):
        call(network, 7)
        assert torch.equal(call(network, 7, **change), expected)
    assert len(captures.graphs) == 2


def test_what_a_graph_cannot_hold_runs_as_usual(network: Network) -> None:
    captures = Captures("script")
    expected = call(network, 3)
    with captured(network, captures):
        assert torch.equal(call(network, 3, skip=object()), expected)
    assert not captures.graphs


def test_gradients_are_recorded_by_the_network_itself(network: Network) -> None:
    captures = Captures("script")
    with captured(network, captures):
        x = torch.randn((2, 8), requires_grad=True)
        network(x, torch.rand(2), added={"text": torch.zeros(2, 8)})[0].sum().backward()
    assert x.grad is not None
    assert not captures.graphs


def test_a_graph_with_other_values_is_refused_and_told(network: Network) -> None:
    class Counts(Network):
        def forward(self, x: Tensor, timestep: Tensor, **rest: Any) -> tuple[Tensor]:
            self.calls += 1
            return (x * float(self.calls),)  # a number that TorchScript takes for a constant

    counting, captures = Counts(), Captures("script")
    with captured(counting, captures):
        first, second = call(counting, 1), call(counting, 1)
    assert not torch.equal(first, second)
    assert captures.notes
    assert "could not be captured" in captures.notes[0]


def test_auto_waits_for_the_third_generation(network: Network) -> None:
    captures = Captures("script", after=2)
    for expected in (0, 0, 1):
        with captured(network, captures):
            call(network, 1)
            call(network, 2)
        assert len(captures.graphs) == expected


def test_calls_of_several_requests_wait_for_a_number_of_their_kind(network: Network) -> None:
    captures = Captures("graph", after_shared=2)
    with captured(network, captures):
        for expected in (0, 0, 1, 1):
            with shared_calls([network]):
                call(network, 1)
            assert len(captures.graphs) == expected
        with shared_calls([network, nn.Identity()]):
            call(network, 1, batch=3)
        assert len(captures.graphs) == 1
        call(network, 1, batch=3)
        assert len(captures.graphs) == 2


def test_what_one_thread_shares_is_not_shared_for_another(network: Network) -> None:
    captures = Captures("graph", after_shared=9)
    with captured(network, captures), ThreadPoolExecutor(1) as pool, shared_calls([network]):
        call(network, 1)
        assert len(captures.graphs) == 0
        pool.submit(call, network, 1).result()
        assert len(captures.graphs) == 1


def test_threads_share_a_graph(network: Network) -> None:
    expected = [call(network, seed) for seed in range(16)]
    captures = Captures("script")
    with captured(network, captures), ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda seed: call(network, seed), range(16)))
    assert all(map(torch.equal, found, expected))
    assert len(captures.graphs) == 1


@pytest.mark.slow
def test_a_compiled_network_computes_the_same() -> None:
    torch.manual_seed(6)
    network, captures = nn.Sequential(nn.Linear(8, 8), nn.Tanh()), Captures("compile")
    calls = [torch.randn(2, 8) for _ in range(3)]
    with torch.no_grad():
        expected = [network(x) for x in calls]
        with captured(network, captures):
            for x, output in zip(calls, expected, strict=True):
                torch.testing.assert_close(network(x), output)
    assert [graph is not None for graph in captures.graphs.values()] == [True]
    assert not captures.notes
