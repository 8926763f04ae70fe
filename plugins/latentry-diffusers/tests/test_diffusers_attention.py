"""Bare networks of diffusers and transformers: every layer served, the same numbers, nothing left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Barrier, Thread
from typing import Any

import pytest
import torch
from support.bare import BARE, Bare
from torch import Tensor, nn

from latentry import AttentionBackendSpec, IncompatibleError, OptionError, UnknownName
from latentry.attention import AttentionGuard
from latentry.testing import AttentionSubject, EagerAttention
from latentry_diffusers.attention import Routing

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 4e-2}
"""Of outputs of order one: the dtype's rounding, some layers deep."""


class Spy(EagerAttention):
    """The reference; remembers the shapes it was asked for, and what with."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[tuple[int, ...], int, bool, bool]] = []

    def attend(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        *,
        mask: Tensor | None = None,
        scale: float | None = None,
        causal: bool = False,
    ) -> Tensor:
        assert q.dim() == k.dim() == v.dim() == 4
        assert q.shape[:2] == k.shape[:2]
        assert k.shape == v.shape
        self.calls.append((tuple(q.shape), k.shape[2], mask is not None, causal))
        return super().attend(q, k, v, mask=mask, scale=scale, causal=causal)


class Nothing(Spy):
    """Attention that gives nothing."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
        return torch.zeros_like(super().attend(q, k, v, **options))


@pytest.fixture(scope="module", params=BARE)
def bare(request: pytest.FixtureRequest) -> Bare:
    """One network after another, made once."""
    made: Bare = BARE[request.param]()
    return made


def routing(bare: Bare) -> Routing:
    return Routing({bare.part: bare.network}) if bare.part else Routing({}, text=[bare.network])


@contextmanager
def untouched(network: nn.Module) -> Iterator[None]:
    def state() -> list[Any]:
        config = getattr(network.config, "_attn_implementation", None)
        return [getattr(module, "processor", None) for module in network.modules()] + [config]

    before = state()
    yield
    assert all(a is b or a == b for a, b in zip(state(), before, strict=True))


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_every_layer_is_served_and_gives_the_same(bare: Bare, dtype: torch.dtype) -> None:
    bare.network.to(dtype)
    with untouched(bare.network):
        own, spy = bare.run(), Spy()
        with routing(bare).set(spy, None):
            served = bare.run()
        after = bare.run()
    bare.network.to(torch.float32)
    assert len(spy.calls) == bare.layers
    assert served.dtype == own.dtype
    assert torch.allclose(served, own, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] * float(own.abs().max()))
    assert torch.equal(after, own)


def test_each_role_is_served_alone(bare: Bare) -> None:
    expected, counts = bare.run(), {}
    with untouched(bare.network):
        for role in routing(bare).roles:
            spy = Nothing()
            with routing(bare).set(spy, role):
                assert not torch.allclose(bare.run(), expected, atol=1e-4)
            counts[role] = len(spy.calls)
    assert counts == bare.roles


def test_a_role_that_is_not_there_is_refused_with_those_that_are(bare: Bare) -> None:
    with untouched(bare.network), pytest.raises(OptionError, match="no attention role 'telepathy'") as caught:
        routing(bare).set(Spy(), "telepathy")
    assert caught.value.remedy == f"Roles are {', '.join(bare.roles)}."


def test_a_backend_that_declares_too_little_is_refused_before_anything_is_set(bare: Bare) -> None:
    spec = AttentionBackendSpec(
        name="narrow",
        target="nowhere:Narrow",
        summary="",
        devices=frozenset({"cpu"}),
        dtypes=frozenset({"float32"}),
        max_head_size=1,
    )
    guard = AttentionSubject.of(EagerAttention, spec=spec).guarded
    with untouched(bare.network), pytest.raises(IncompatibleError, match="'narrow' cannot serve the") as caught:
        routing(bare).set(guard, None)
    assert "head sizes up to 1" in caught.value.why
    assert "narrow,auto" in caught.value.remedy


@pytest.mark.slow
def test_backends_go_by_name_too(bare: Bare) -> None:
    own = bare.run()
    with untouched(bare.network), routing(bare).set("native", None):
        assert torch.equal(bare.run(), own)
    with untouched(bare.network), routing(bare).set("sdpa,native", None):
        assert torch.allclose(bare.run(), own, rtol=1e-5, atol=1e-5)
    with untouched(bare.network), pytest.raises(UnknownName):
        routing(bare).set("sdap", None)


@pytest.mark.slow
def test_two_networks_in_two_threads_do_not_meet(bare: Bare) -> None:
    other: Bare = BARE[bare.name]()
    own, barrier = (bare.run(), other.run()), Barrier(2)
    spies, found = (Spy(), Spy()), [torch.empty(0)] * 2

    def work(number: int, one: Bare) -> None:
        barrier.wait()
        for _ in range(3):
            with routing(one).set(spies[number], None):
                found[number] = one.run()

    threads = [Thread(target=work, args=(number, one)) for number, one in enumerate((bare, other))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(spy.calls) for spy in spies] == [3 * bare.layers] * 2
    assert all(torch.allclose(a, b, rtol=1e-5, atol=1e-5) for a, b in zip(found, own, strict=True))


def test_one_networks_backend_is_not_anothers(bare: Bare) -> None:
    other, spy = BARE[bare.name](), Spy()
    with routing(bare).set(spy, None):
        other.run()
    assert spy.calls == []


@pytest.mark.parametrize("bare", ["unet", "flux"], indirect=True)
def test_settings_nest_and_hold_without_a_with(bare: Bare) -> None:
    outer, inner, routes = Spy(), Spy(), routing(bare)
    with untouched(bare.network):
        routes.set(outer, None)
        with routes.set(inner, None):
            bare.run()
        assert (len(outer.calls), len(inner.calls)) == (0, bare.layers)
        bare.run()
        assert len(outer.calls) == bare.layers
        routes.set(None, None)
    bare.run()
    assert len(outer.calls) == bare.layers


@pytest.mark.parametrize("bare", ["unet"], indirect=True)
def test_a_layer_with_an_adapter_is_refused_by_name(bare: Bare) -> None:
    class AdapterProcessor:
        def __call__(self, attn: Any, hidden_states: Tensor, **rest: Any) -> Tensor:
            return hidden_states

    layer: Any = next(module for module in bare.network.modules() if type(module).__name__ == "Attention")
    own, layer.processor = layer.processor, AdapterProcessor()
    routes = routing(bare)
    layer_before = layer.processor
    with pytest.raises(IncompatibleError, match="No backend can serve the") as caught:
        routes.set(Spy(), None)
    assert "AdapterProcessor" in caught.value.why
    routes.set(None, None)
    assert layer.processor is layer_before
    layer.processor = own


@pytest.mark.parametrize("bare", ["unet"], indirect=True)
def test_a_mask_reaches_the_backend(bare: Bare) -> None:
    """A UNet's mask of the text; 0 adds −10,000 to the scores."""
    mask = torch.ones(2, 7)
    mask[0, 3:] = 0
    own, spy = bare.run(encoder_attention_mask=mask), Spy()
    with routing(bare).set(spy, None):
        served = bare.run(encoder_attention_mask=mask)
    assert torch.allclose(served, own, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(own, bare.run(), atol=1e-4)
    assert sum(masked for _, _, masked, _ in spy.calls) == bare.roles["cross"]


@pytest.mark.parametrize("bare", ["clip", "t5"], indirect=True)
@pytest.mark.parametrize("padded", [False, True])
def test_text_encoders_ask_for_what_they_need(bare: Bare, padded: bool) -> None:
    """CLIP is causal, by a flag or by a mask that also holds the padding; T5 adds a bias to every score."""
    mask = torch.ones(2, 9, dtype=torch.long)
    mask[1, 6:] = 0
    options = {"attention_mask": mask} if padded else {}
    own, spy = bare.run(**options), Spy()
    with routing(bare).set(spy, "text"):
        served = bare.run(**options)
    kept = mask.bool() if padded else torch.ones(2, 9, dtype=torch.bool)
    assert torch.allclose(served[kept], own[kept], rtol=1e-5, atol=1e-5)
    asked = {call[2:] for call in spy.calls}
    assert asked == {(True, False)} if bare.name == "t5" or padded else {(False, True)}


@pytest.mark.parametrize("bare", ["clip"], indirect=True)
def test_models_that_share_a_configuration_stay_apart(bare: Bare) -> None:
    """transformers keeps the choice in the configuration, which two models may share."""
    kind: Callable[..., Any] = type(bare.network)
    other, spy = kind(bare.network.config).eval(), Spy()
    ids = torch.arange(9).expand(2, 9)
    with torch.no_grad():
        own = other(ids).last_hidden_state
        with routing(bare).set(spy, None):
            assert torch.allclose(other(ids).last_hidden_state, own, atol=1e-6)
    assert spy.calls == []


def test_transformers_tables_gain_an_entry_of_ours_and_nothing_else() -> None:
    from transformers import AttentionInterface, AttentionMaskInterface

    def entries() -> dict[str, dict[str, Any]]:
        return {table.__name__: dict(table._global_mapping) for table in (AttentionInterface, AttentionMaskInterface)}

    before, bare = entries(), BARE["clip"]()
    with routing(bare).set(Spy(), None):
        bare.run()
    for name, table in entries().items():
        assert set(table) == set(before[name]) | {"latentry"}
        assert all(table[key] is value for key, value in before[name].items() if key != "latentry")


def test_a_guard_is_a_backend_like_any_other() -> None:
    bare, spy = BARE["vae"](), Spy()
    own = bare.run()
    guard: AttentionGuard = AttentionSubject.of(type(spy)).guarded
    with routing(bare).set(guard, "vae"):
        assert torch.allclose(bare.run(), own, rtol=1e-5, atol=1e-5)


def test_a_text_encoder_that_transformers_lets_nobody_serve_has_no_role() -> None:
    """T5 before transformers 5.15: its attention has no interface, and it runs as it came."""

    class Old(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.config = type("Config", (), {"_attn_implementation": "eager"})()
            self.attention = nn.Linear(2, 2)

    network = Old()
    routing = Routing({}, text=[network])
    assert routing.roles == ()
    with routing.set(EagerAttention(), None):
        assert network.config._attn_implementation == "eager"
