"""``graph``: calls recorded and played back give the network's bits, or are refused with the reason."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, group_norm, interpolate, scaled_dot_product_attention, silu

from latentry._capture._call import kind_of, value_of, varied
from latentry._capture._captured import KINDS, Captures, captured
from latentry._capture._form import has_code_inside
from latentry._capture._ways import Graph, capture

Function = Callable[..., Any]
X = torch.linspace(-2.0, 3.0, 2 * 4 * 6 * 6).reshape(2, 4, 6, 6)


class Does(nn.Module):
    """A function as a network, with some state of its own."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.layer, self.inner = nn.Conv2d(4, 4, 3, padding=1), nn.SiLU()
        self.table: Tensor
        self.register_buffer("table", torch.linspace(0.5, 1.5, 4))
        self._function = function

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(self, *args, **kwargs)


class Doubled(Does):
    """A class that a host gives to a network later."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return 2.0 * self._function(self, *args, **kwargs)


def graph_of(network: nn.Module, *args: Any) -> Graph:
    tensors: list[Tensor] = []
    kind = kind_of((args, {}), tensors)
    return capture(network, network.forward, kind, tensors, "graph")


def views_and_writes(network: Any, x: Tensor) -> Tensor:
    x = x.clone()
    x[:, 1] += 1.0
    x[..., ::2, None, 0].mul_(x[:, :, 1:2, 3:4].amax())
    half, rest = x.view(2, 2, 2, 36).unbind(1)
    half.zero_().add_(0.25)
    return torch.cat([x.flatten(2), rest.transpose(1, 2).reshape(2, 2, 36)], dim=1)


def denoising(network: Any, x: Tensor) -> Tensor:
    frequencies = torch.exp(-torch.arange(4, dtype=torch.float32) / 3)
    x = group_norm(x + frequencies[None, :, None, None], 2)
    x = interpolate(dropout(silu(x), 0.5, network.training), scale_factor=2.0)
    q, k, v = network.layer(x).flatten(2).transpose(1, 2)[:, None].repeat(1, 3, 1, 1).chunk(3, dim=1)
    return scaled_dot_product_attention(q, k, v) * network.table - 1 / (2 + k.abs())


def shaped(network: Any, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    scale = x.shape[1] ** -0.5 if x.dim() == 4 and x.is_contiguous() else 2.0
    values, places = x.to(torch.float32).contiguous().max(dim=-1)
    return values * scale, [places, x.split([1, 3], dim=1)[1].to(torch.float64)]


@pytest.mark.parametrize("function", [views_and_writes, denoising, shaped], ids=lambda function: function.__name__)
@pytest.mark.parametrize("inference", [True, False], ids=["inference", "no-grad"])
def test_bits_are_the_networks_for_other_values(function: Function, inference: bool) -> None:
    network = Does(function).eval()
    graph = graph_of(network, X)
    for factor in (1.0, -3.0, 0.0):
        with torch.inference_mode(inference), torch.no_grad():
            ours, theirs = graph(X * factor), network(X * factor)
        left, right = list[Tensor](), list[Tensor]()
        assert kind_of(ours, left) == kind_of(theirs, right)
        assert all(map(torch.equal, left, right))


def random(network: Any, x: Tensor) -> Tensor:
    return x + torch.randn_like(x)


def training(network: Any, x: Tensor) -> Tensor:
    return dropout(x, 0.5, training=True)


def item(network: Any, x: Tensor) -> Tensor:
    return x * x.max().item()


def truth(network: Any, x: Tensor) -> Tensor:
    return x + 1 if x.mean() > 0 else x - 1


def listed(network: Any, x: Tensor) -> Tensor:
    return x * x.flatten().tolist()[0]


def array(network: Any, x: Tensor) -> Tensor:
    return x + float(x.numpy().sum())


def writes_input(network: Any, x: Tensor) -> Tensor:
    return x.view(-1).add_(1.0)


def counts(network: Any, x: Tensor) -> Tensor:
    return x / (x > 0).nonzero().shape[0]


def masks(network: Any, x: Tensor) -> Tensor:
    return x * x[x > 0].numel()


def keeps(network: Any, x: Tensor) -> Tensor:
    network.features = x * 2.0
    return x + 1.0


def writes_state(network: Any, x: Tensor) -> Tensor:
    network.table[0] += 1.0
    return x * network.table[0]


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (random, "random numbers"),
        (training, "works as in training"),
        (item, "reads values of tensors .item"),
        (truth, "reads values of tensors .__bool__"),
        (listed, "reads values of tensors .tolist"),
        (array, "reads values of tensors .numpy"),
        (counts, "size depends on values .nonzero"),
        (masks, "size depends on values .__getitem__"),
        (keeps, "sets values on itself"),
        (writes_input, "writes into tensors that it did not make"),
        (writes_state, "writes into tensors that it did not make"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_cannot_be_played_back_runs_as_usual_and_is_told(function: Function, reason: str) -> None:
    network, captures = Does(function).eval(), Captures("graph")
    with torch.no_grad(), captured(network, captures):
        network(X.clone())
    assert list(captures.graphs.values()) == [None]
    with pytest.raises(Exception, match=reason):
        graph_of(network, X.clone())


def test_a_value_that_no_function_of_torch_computed_is_found_out() -> None:
    def hidden(network: Any, x: Tensor) -> Tensor:
        network.seen.append(x)
        with torch._C.DisableTorchFunction():
            return x + x.sum()

    def used(network: Any, x: Tensor) -> Tensor:
        return x * hidden(network, x)

    for function in (hidden, used):
        network, captures = Does(function).eval(), Captures("graph")
        network.seen = []
        with torch.no_grad(), captured(network, captures):
            first, second = network(X), network(X * 2)
        assert list(captures.graphs.values()) == [None]
        assert captures.notes
        assert not torch.equal(first, second)


def test_the_compared_call_has_other_values_than_the_recorded_one() -> None:
    wide = torch.arange(12.0).reshape(3, 4)
    for tensor in (wide, wide.T, wide[:, ::2], wide[:1].expand(5, 4), torch.zeros(3), torch.arange(6), X.half()):
        other, tensors = varied(tensor), list[Tensor]()
        assert kind_of(tensor, tensors) == kind_of(other, tensors)
        assert not torch.equal(tensor, other)
    assert varied(torch.zeros(0, 3)).shape == (0, 3)


def test_weights_are_referred_to() -> None:
    network = Does(denoising).eval()
    graph = graph_of(network, X)
    held = [value for value in graph.__globals__.values() if isinstance(value, Tensor)]
    own = {weight.data_ptr() for weight in (*network.parameters(), network.table)}
    assert {value.data_ptr() for value in held} == own
    with torch.no_grad():
        before = graph(X)
        network.layer.weight.mul_(2.0)
        bias = network.layer.bias
        assert bias is not None
        bias.data = bias.data + 1.0
        assert not torch.equal(graph(X), before)
        assert torch.equal(graph(X), network(X))


def test_inputs_are_left_as_they_are() -> None:
    given = X.clone()
    network = Does(views_and_writes).eval()
    with torch.no_grad(), captured(network, Captures("graph")):
        for _ in range(3):
            network(given)
    assert torch.equal(given, X)


def test_intermediate_results_end_with_their_last_use() -> None:
    alive: list[int] = []
    made: list[weakref.ref[Tensor]] = []

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = func(*args, **(kwargs or {}))
            alive.append(sum(each() is not None for each in made))
            made.append(weakref.ref(out))
            return out

    def chain(network: Any, x: Tensor) -> Tensor:
        states = [x + 1.0]
        for _ in range(6):
            states.append(states[-1] * 2.0)
        return states[-1]

    network = Does(chain).eval()
    graph = graph_of(network, X)
    most = []
    for call in (network, graph):
        alive.clear()
        made.clear()
        gc.collect()
        with torch.no_grad(), Watch():
            call(X)
        most.append(max(alive))
    assert most == [6, 1]


def hooked(network: Any, x: Tensor) -> Tensor:
    out: Tensor = network.inner(network.layer(x))
    return out


def test_hooks_that_come_later_are_run() -> None:
    network, captures, seen = Does(hooked).eval(), Captures("graph"), list[Tensor]()
    with torch.no_grad():
        plain = network(X)
        with captured(network, captures):
            network(X)
            assert torch.equal(network(X), plain)
            assert list(captures.graphs.values()) != [None]
            handle = network.inner.register_forward_hook(lambda module, given, out: seen.append(out))
            assert torch.equal(network(X), plain)
            assert len(seen) == 1
            handle.remove()


def test_other_modules_and_weights_make_other_graphs() -> None:
    network, captures = Does(hooked).eval(), Captures("graph")
    changes: tuple[Callable[[], object], ...] = (
        lambda: setattr(network, "inner", nn.Tanh()),
        lambda: setattr(network.layer, "weight", nn.Parameter(torch.ones_like(network.layer.weight))),
        lambda: network.load_state_dict(Does(hooked).state_dict(), assign=True),
        lambda: network.double(),
        lambda: setattr(network, "__class__", Doubled),
        lambda: setattr(network.layer, "padding", (0, 0)),
    )
    with torch.no_grad():
        for change in changes:
            with captured(network, captures):
                before = network(X.to(network.table.dtype))
            change()
            expected = network(X.to(network.table.dtype))
            assert not torch.equal(before, expected)
            with captured(network, captures):
                network(X.to(network.table.dtype))
                assert torch.equal(network(X.to(network.table.dtype)), expected)
    assert not captures.notes


def test_strides_are_part_of_the_kind() -> None:
    network, captures = Does(shaped).eval(), Captures("graph")
    turned = X.transpose(2, 3)
    with torch.no_grad(), captured(network, captures):
        for given in (X, turned, X, turned):
            assert torch.equal(network(given)[0], shaped(network, given)[0])
    assert len(captures.graphs) == 2


def test_autocast_of_a_host_holds() -> None:
    network = Does(hooked).eval()
    with torch.no_grad(), captured(network, Captures("graph")):
        network(X)
        with torch.autocast("cpu", torch.bfloat16):
            assert network(X).dtype == torch.bfloat16


def test_long_evaluations_are_left_as_they_are() -> None:
    for limit, made in ((0.0, [None]), (60.0, [1])):
        network, captures = Does(hooked).eval(), Captures("graph", 1, limit)
        with torch.no_grad():
            for _ in range(2):
                with captured(network, captures):
                    network(X)
        assert [graph and 1 for graph in captures.graphs.values()] == made
        assert not captures.notes


def test_values_in_frozen_dataclasses_are_given_anew() -> None:
    @dataclass(frozen=True)
    class Shown:
        layers: frozenset[int]
        picture: Tensor

    tensors: list[Tensor] = []
    kind = kind_of(Shown(frozenset((3,)), X), tensors)
    other = X + 1
    again = value_of(kind, iter([other]))
    assert again.picture is other
    assert again.layers == {3}
    assert hash(kind) == hash(kind_of(again, []))


def test_tensors_that_the_network_made_before_are_referred_to() -> None:
    def cached(network: Any, x: Tensor) -> Tensor:
        if not hasattr(network, "made"):
            network.made = torch.arange(6.0)
        return x + network.made.to(torch.float32).contiguous()

    network = Does(cached).eval()
    with torch.no_grad(), captured(network, captures := Captures("graph")):
        assert torch.equal(network(X), X + torch.arange(6.0))
    (graph,) = captures.graphs.values()
    assert graph is not None
    assert any(value is network.made for value in graph.__globals__.values())


@pytest.mark.parametrize("each", ["call", "generation"])
def test_what_is_set_on_a_network_and_not_given_to_it_is_found_out(each: str) -> None:
    def told(network: Any, x: Tensor) -> Tensor:
        return x + network.told

    network, captures = Does(told).eval(), Captures("graph")
    with torch.no_grad():
        for generation in range(3):
            with captured(network, captures):
                for number in range(3):
                    network.told = torch.tensor(float(number if each == "call" else generation))
                    assert torch.equal(network(X), X + network.told)
    if each == "call":  # the other is seen when a generation begins
        assert list(captures.graphs.values()) == [None]
        assert captures.notes


def test_what_a_network_puts_into_its_arguments_is_there() -> None:
    def puts(network: Any, x: Tensor, store: dict[str, Tensor]) -> Tensor:
        store["doubled"] = x * 2.0
        return x + 1.0

    network, captures = Does(puts).eval(), Captures("graph")
    with torch.no_grad(), captured(network, captures):
        for number in range(4):
            network(X + number, store := {})
            assert torch.equal(store["doubled"], (X + number) * 2.0)
    assert list(captures.graphs.values()) == [None]


def test_equal_numbers_of_other_types_are_other_calls() -> None:
    def times(network: Any, x: Tensor, number: float) -> Tensor:
        return x.long() * number

    network = Does(times).eval()
    with torch.no_grad(), captured(network, Captures("graph")):
        for number in (2, 2.0, 2, 2.0):
            assert network(X, number).dtype == (X.long() * number).dtype


def test_hooks_of_all_modules_are_run() -> None:
    network, seen = Does(hooked).eval(), []
    with torch.no_grad(), captured(network, Captures("graph")):
        for _ in range(3):
            network(X)
        handle = nn.modules.module.register_module_forward_hook(lambda module, given, out: seen.append(module))
        try:
            assert has_code_inside(network)
            network(X)
        finally:
            handle.remove()
    assert network.inner in seen
    assert not has_code_inside(network)


def test_graphs_of_very_many_kinds_are_let_go() -> None:
    network, captures = Does(hooked).eval(), Captures("graph")
    with torch.no_grad(), captured(network, captures):
        for rows in range(1, KINDS + 4):
            network(torch.ones(rows, *X.shape[1:]))
    assert len(captures.graphs) == KINDS
    assert set(captures.compared) == set(captures.seen) == set(captures.graphs)  # the others wait as new ones


def test_a_graph_that_fails_gives_way_to_the_network() -> None:
    def picky(network: Any, x: Tensor) -> Tensor:
        try:
            return network.layer(x) * torch.linalg.cholesky(x[0, 0] @ x[0, 0].T + torch.eye(6)).sum()
        except RuntimeError:
            return x

    network, captures = Does(picky).eval(), Captures("graph")
    with torch.no_grad(), captured(network, captures):
        assert network(X).shape == X.shape
        assert list(captures.graphs.values()) != [None]
        assert network(X * torch.nan).isnan().all()
    assert list(captures.graphs.values()) == [None]
