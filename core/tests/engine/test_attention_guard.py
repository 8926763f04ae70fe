"""The guard in front of attention backends: it drops no mask, scale or causality, and reports failures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from latentry import AttentionBackendSpec, IncompatibleError, PluginError
from latentry._attention._demand import unmet
from latentry._attention._guard import Candidate
from latentry.attention import AttentionDemand, AttentionGuard
from latentry.testing import EagerAttention, eager_attention

SPEC = AttentionBackendSpec(
    name="one", target="a:B", summary="", devices=frozenset({"cpu"}), dtypes=frozenset({"float32"}), head_multiple=4
)


class Recorder(EagerAttention):
    """The reference; records its arguments, and can be made to raise."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.calls: list[dict[str, Any]] = []
        self.error = error

    def attend(self, q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
        self.calls.append(options)
        if self.error is not None:
            raise self.error
        return super().attend(q, k, v, **options)


def guard(*backends: Any, failures: dict[str, str] | None = None, **about: Any) -> AttentionGuard:
    """A guard of one or several backends; the first has the record with these changes, the others have no limits."""
    specs = [replace(SPEC, **about), *[replace(SPEC, head_multiple=1)] * (len(backends) - 1)]
    names = ["one", "two", "three"]
    return AttentionGuard([Candidate(*parts) for parts in zip(names, specs, backends, strict=False)], failures)


def tensors(size: int = 8, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(1, 2, n, size, generator=generator).to(dtype) for n in (5, 7, 7)]


MASK = torch.tensor([True, True, False, True, True, True, False])

REFUSED: dict[str, tuple[dict[str, Any], list[Tensor], dict[str, Any], str]] = {
    "dtype": ({}, tensors(dtype=torch.float16), {}, "supports float32, not float16"),
    "device": ({"devices": frozenset({"cuda", "mps"})}, tensors(), {}, "supports cuda, mps, not cpu"),
    "odd head": ({}, tensors(6), {}, "multiples of 4, not 6"),
    "large head": ({"max_head_size": 8}, tensors(12), {}, "head sizes up to 8, not 12"),
    "mask": ({"masks": False}, tensors(), {"mask": MASK}, "does not support masks"),
    "causal": ({"causal": False}, tensors(), {"causal": True}, "does not support causal attention"),
    "scale": ({"scales": False}, tensors(), {"scale": 0.5}, "only the default scale"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_call_that_is_not_supported_is_an_error(case: str) -> None:
    about, qkv, options, reason = REFUSED[case]
    backend = Recorder()
    with pytest.raises(IncompatibleError, match="attention backend 'one' cannot serve") as caught:
        guard(backend, **about).attend(*qkv, **options)
    assert reason in caught.value.why
    assert "one,auto" in caught.value.remedy
    assert backend.calls == []


@pytest.mark.parametrize("case", [case for case in REFUSED if case not in {"dtype", "device"}])
def test_the_next_backend_serves_what_the_first_does_not_support(case: str) -> None:
    about, qkv, options, _ = REFUSED[case]
    first, second = Recorder(), Recorder()
    served = guard(first, second, **about)
    found = served.attend(*qkv, **options)
    assert (len(first.calls), len(second.calls)) == (0, 1)
    assert torch.allclose(found.double(), eager_attention(*qkv, **options), atol=1e-6)
    assert served.notes == ()


def test_mask_scale_and_causality_are_passed_on() -> None:
    backend = Recorder()
    guard(backend).attend(*tensors(), mask=MASK, scale=0.3, causal=True)
    (call,) = backend.calls
    assert torch.equal(call.pop("mask"), MASK[None, None, None])
    assert call == {"scale": 0.3, "causal": True}


def test_the_default_scale_is_always_supported() -> None:
    backend = Recorder()
    guard(backend, scales=False).attend(*tensors(8), scale=8**-0.5)
    assert backend.calls == [{"mask": None, "scale": None, "causal": False}]


@pytest.mark.parametrize(("tokens", "keys", "batch"), [(0, 7, 1), (5, 0, 1), (5, 7, 0)])
def test_empty_input_does_not_reach_a_backend(tokens: int, keys: int, batch: int) -> None:
    """torch's CPU kernel ends the process on it."""
    backend = Recorder()
    q, k, v = torch.ones(batch, 2, tokens, 8), torch.ones(batch, 2, keys, 8), torch.ones(batch, 2, keys, 4)
    found = guard(backend).attend(q, k, v)
    assert torch.equal(found, torch.zeros(batch, 2, tokens, 4))
    assert backend.calls == []


def test_a_single_backend_that_fails_is_named_with_the_cause() -> None:
    with pytest.raises(PluginError, match=r"attention backend 'one' of .* failed") as caught:
        guard(Recorder(RuntimeError("no kernel image"))).attend(*tensors())
    assert "RuntimeError: no kernel image" in caught.value.why
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_one_of_several_backends_that_fails_is_not_used_again(caplog: pytest.LogCaptureFixture) -> None:
    first, second, failures = Recorder(OSError("lost the device")), Recorder(), {}
    served = guard(first, second, failures=failures)
    for _ in range(3):
        served.attend(*tensors())
    assert (len(first.calls), len(second.calls)) == (1, 3)
    assert len(served.notes) == 1
    assert "'one' failed and is not used any more: OSError: lost the device" in served.notes[0]
    assert served.notes[0] in caplog.text
    assert list(failures) == ["one"]
    again = Recorder()
    guard(again, second, failures=failures).attend(*tensors())
    assert again.calls == []


def test_a_backend_that_refuses_a_single_call_is_used_again() -> None:
    first, second = Recorder(IncompatibleError("No.", why="It is Sunday.")), Recorder()
    served = guard(first, second)
    served.attend(*tensors())
    served.attend(*tensors())
    assert (len(first.calls), len(second.calls)) == (2, 2)
    assert served.notes == ()
    with pytest.raises(IncompatibleError) as caught:
        guard(first).attend(*tensors())
    assert caught.value.why == "It is Sunday."


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), KeyboardInterrupt()])
def test_out_of_memory_and_ctrl_c_pass_through(error: BaseException) -> None:
    served = guard(Recorder(error), Recorder())  # type: ignore[arg-type]
    with pytest.raises(type(error)):
        served.attend(*tensors())
    assert served.notes == ()


def test_a_result_of_another_shape_is_a_failure() -> None:
    class Flat(Recorder):
        def attend(self, q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
            return super().attend(q, k, v, **options).flatten(2)

    with pytest.raises(PluginError) as caught:
        guard(Flat()).attend(*tensors())
    assert "returned the shape (1, 2, 40) instead of (1, 2, 5, 8)" in caught.value.what


def test_a_layer_is_refused_before_anything_is_computed() -> None:
    served = guard(Recorder(), max_head_size=256)
    served.admit(AttentionDemand(head_size=256), "the vae attention")
    with pytest.raises(IncompatibleError, match="'one' cannot serve the vae attention") as caught:
        served.admit(AttentionDemand(head_size=512), "the vae attention")
    assert "512" in caught.value.why
    guard(Recorder(), Recorder(), max_head_size=256).admit(AttentionDemand(head_size=512), "the vae attention")


def test_the_reason_of_every_backend_is_given() -> None:
    with pytest.raises(IncompatibleError, match="None of the attention backends one, two") as caught:
        guard(Recorder(), Recorder(), masks=False).attend(*tensors(dtype=torch.float16), mask=MASK)
    assert caught.value.why.splitlines()[0].startswith("one: It supports float32, not float16")
    assert caught.value.why.splitlines()[1].startswith("two: ")


def test_an_unknown_property_of_a_call_is_not_compared() -> None:
    assert unmet(replace(SPEC, masks=False, max_head_size=8), AttentionDemand()) is None


def test_records_are_asked_once_for_a_kind_of_call(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    own = Candidate.unmet
    monkeypatch.setattr(Candidate, "unmet", lambda self, demand: asked.append(self.name) or own(self, demand))
    first, second = Recorder(), Recorder()
    served = guard(first, second, masks=False)
    for _ in range(3):
        served.attend(*tensors())
        served.attend(*tensors(12))
        served.attend(*tensors(), mask=MASK)
        served.attend(*tensors(), scale=0.5)
        served.attend(*tensors(), causal=True)
    assert asked == ["one", "two"] * 5
    assert (len(first.calls), len(second.calls)) == (12, 3)
    assert [call["scale"] for call in first.calls] == [None, None, 0.5, None] * 3


def test_what_is_remembered_of_a_kind_does_not_outlive_a_failure() -> None:
    """The first backend fails at a kind of call that it has served before; another guard of the engine sees it too."""
    failures: dict[str, str] = {}
    first, second = Recorder(), Recorder()
    served, sibling = guard(first, second, failures=failures), guard(first, second, failures=failures)
    for each in (served, sibling):
        each.attend(*tensors())
    first.error = RuntimeError("lost")
    served.attend(*tensors())
    first.error = None
    for each in (served, sibling):
        each.attend(*tensors())
    assert (len(first.calls), len(second.calls)) == (3, 3)
    failures.clear()
    served.attend(*tensors())
    assert len(first.calls) == 4


def test_a_refusal_of_one_call_is_not_remembered() -> None:
    """A backend may refuse what its record cannot express, such as one shape."""
    first, second = Recorder(), Recorder()
    served = guard(first, second)
    first.error = IncompatibleError("no", why="This shape is not supported.")
    served.attend(*tensors())
    first.error = None
    served.attend(*tensors())
    assert (len(first.calls), len(second.calls)) == (2, 1)
