"""The attention suite finds what is wrong, and passes what is right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from latentry import AttentionBackendSpec
from latentry.testing import (
    AttentionSubject,
    AttentionSuite,
    EagerAttention,
    check_attention,
    eager_attention,
)
from latentry.testing._attention._all import CHECKS

SPEC = AttentionBackendSpec(
    name="planted",
    target="a:B",
    summary="",
    devices=frozenset({"cpu"}),
    dtypes=frozenset({"float32", "float16", "bfloat16"}),
)


class TestReference(AttentionSuite):
    backend = EagerAttention
    spec = replace(SPEC, name="eager", dtypes=frozenset({"float64", "float32", "float16", "bfloat16"}))


class TestNative(AttentionSuite):
    """torch's own attention."""

    backend = replace(SPEC, name="native", target="latentry._attention._native:NativeAttention")


def masked(q: Tensor, k: Tensor, v: Tensor, mask: Any = None, **options: Any) -> Tensor:
    """Rows without a key are NaN."""
    q, k, v = (tensor.double() for tensor in (q, k, v))
    scores = q @ k.transpose(-1, -2) * (options["scale"] or q.shape[-1] ** -0.5)
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
    if options["causal"]:
        scores = scores.masked_fill(torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1), -torch.inf)
    return torch.softmax(scores, dim=-1) @ v


def from_the_last(q: Tensor, k: Tensor, v: Tensor, causal: bool = False, mask: Any = None, scale: Any = None) -> Tensor:
    """Causality counted from the last key."""
    if causal and mask is None:
        mask = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).tril(k.shape[2] - q.shape[2])
        return eager_attention(q, k, v, mask=mask, scale=scale)
    return eager_attention(q, k, v, mask=mask, scale=scale, causal=causal)


def as_contiguous(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
    """Reads the memory of q as if its last dimension were contiguous."""
    if q.stride(-1) != 1:
        q = q.as_strided(q.shape, (*q.stride()[:-1], 1))
    return eager_attention(q, k, v, **options)


def overflowing(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
    """exp of the scores as they are."""
    scores = q @ k.transpose(-1, -2) * (options["scale"] or q.shape[-1] ** -0.5)
    if options["mask"] is not None or options["causal"]:
        return eager_attention(q, k, v, **options)
    weights = scores.exp()
    return (weights / weights.sum(dim=-1, keepdim=True)) @ v


def half(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
    """Scores summed up in the dtype of a narrow input."""
    out = eager_attention(q, k, v, **options)
    return out * 1.02 if q.dtype == torch.float16 else out


def leaky(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
    """Turns a switch of the process."""
    torch.backends.cuda.enable_math_sdp(not torch.backends.cuda.math_sdp_enabled())
    return eager_attention(q, k, v, **options)


def dropping(name: str) -> Callable[..., Tensor]:
    """Leaves an argument out."""
    return lambda q, k, v, **options: eager_attention(q, k, v, **{k_: o for k_, o in options.items() if k_ != name})


def writing(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
    """Scales q where it lies."""
    out = eager_attention(q, k, v, **options)
    q.mul_(0.5)
    return out


def odd_sizes(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
    """Forgets what is beyond a multiple of eight."""
    keys = k.shape[2] // 8 * 8 or k.shape[2]
    if options["mask"] is not None:
        return eager_attention(q, k, v, **options)
    return eager_attention(q, k[:, :, :keys], v[:, :, :keys], **options)


FAULTS: dict[str, tuple[Callable[..., Tensor], dict[str, Any], set[str]]] = {
    "no mask": (dropping("mask"), {}, {"masks", "causal", "dtypes"}),
    "no mask, and none declared": (dropping("mask"), {"masks": False}, {"undeclared"}),
    "no causality": (dropping("causal"), {}, {"causal"}),
    "no causality, and none declared": (dropping("causal"), {"causal": False}, {"undeclared"}),
    "no scale": (dropping("scale"), {}, {"scale"}),
    "no scale, and none declared": (dropping("scale"), {"scales": False}, {"undeclared"}),
    "NaN for rows without a key": (masked, {}, {"masks", "causal"}),
    "causal from the last key": (from_the_last, {}, {"causal"}),
    "strides": (as_contiguous, {}, {"strides"}),
    "overflow": (overflowing, {}, {"logits"}),
    "inexact in half precision": (half, {}, {"dtypes", "logits"}),
    "a switch": (leaky, {}, {"leavings"}),
    "an input": (writing, {}, {"leavings"}),
    "odd sizes": (odd_sizes, {}, {"sizes", "causal", "scale", "dtypes", "strides", "logits"}),
}


def planted(attend: Callable[..., Tensor], **about: Any) -> AttentionSubject:
    """A backend that computes like this, in the dtype of q."""

    class Planted(EagerAttention):
        def attend(self, q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
            return attend(q, k, v, **({"mask": None, "scale": None, "causal": False} | options)).to(q.dtype)

    return AttentionSubject.of(Planted, spec=replace(SPEC, **about))


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found_by_the_checks_it_concerns(fault: str) -> None:
    attend, about, expected = FAULTS[fault]
    found = {result.check for result in check_attention(planted(attend, **about)) if not result.passed}
    assert found == expected
    torch.backends.cuda.enable_math_sdp(True)


def test_what_is_not_declared_is_not_used() -> None:
    asked: list[dict[str, Any]] = []

    def watched(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
        asked.append({"size": q.shape[-1], "dtype": q.dtype, **options})
        return eager_attention(q, k, v, **options)

    about = {"masks": False, "causal": False, "scales": False, "max_head_size": 96, "head_multiple": 16}
    subject = planted(watched, dtypes=frozenset({"float16"}), **about)
    results = list(check_attention(subject, [name for name in CHECKS if name != "undeclared"]))
    assert all(result.passed for result in results)
    assert {call["size"] for call in asked} == {16, 64, 80, 96}
    assert {call["dtype"] for call in asked} == {torch.float16}
    assert all(call["mask"] is None and call["scale"] is None and not call["causal"] for call in asked)


def test_a_quantised_kernel_is_held_to_what_it_declares() -> None:
    def rough(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
        return eager_attention(q, k, v, **options) + 0.03 * v.double().abs().max()

    def failed(error: float) -> bool:
        subject = planted(rough, error=error)
        return any(not result.passed for result in check_attention(subject, ["dtypes", "sizes"]))

    assert failed(0.0)
    assert failed(0.02)
    assert not failed(0.04)


def test_without_its_device_a_backend_is_only_read() -> None:
    def refuse(*anything: object, **options: object) -> Tensor:
        raise AssertionError("asked")

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    results = {result.check: result for result in check_attention(planted(refuse, devices=frozenset({"cuda"})))}
    assert "This machine has none of its devices" in results["sizes"].exempt
    assert results["spec"].exempt == ""


@pytest.mark.parametrize(
    "about",
    [
        {"name": "Planted"},
        {"devices": frozenset({"abacus"})},
        {"dtypes": frozenset({"float17"})},
        {"head_multiple": 64, "max_head_size": 32},
        {"error": -0.1},
        {"exemptions": (("sizes", ""),)},
        {"exemptions": (("horoscope", "why"),)},
    ],
    ids=str,
)
def test_an_odd_record_is_found(about: dict[str, Any]) -> None:
    subject = replace(planted(eager_attention), spec=replace(SPEC, **about))
    assert [result.passed for result in check_attention(subject, ["spec"])] == [False]


def test_an_exemption_leaves_a_check_out_with_its_reason() -> None:
    subject = planted(dropping("scale"), exemptions=(("scale", "it has its own"),))
    (result,) = check_attention(subject, ["scale"])
    assert (result.verdict, result.exempt) == ("exempt", "it has its own")


def test_a_check_cannot_be_overridden() -> None:
    with pytest.raises(TypeError, match=r"overrides test_masks.*AttentionBackendSpec"):

        class Cheat(AttentionSuite):
            backend = EagerAttention

            def test_masks(self) -> None: ...


def test_the_reference_is_the_definition() -> None:
    """Two keys, by hand: weights 1/(1+e⁻¹) and 1/(1+e), and 0 where no key is left."""
    q, k, v = torch.tensor([[[[1.0]]]]), torch.tensor([[[[1.0], [0.0]]]]), torch.tensor([[[[5.0], [1.0]]]])
    weight = 1 / (1 + torch.exp(torch.tensor(-1.0, dtype=torch.float64)))
    assert torch.allclose(eager_attention(q, k, v), 5 * weight + (1 - weight))
    assert eager_attention(q, k, v, causal=True).item() == 5.0
    assert eager_attention(q, k, v, mask=torch.tensor([False, True])).item() == 1.0
    assert eager_attention(q, k, v, mask=torch.tensor([False, False])).item() == 0.0
    assert eager_attention(q, k, v, dtype=torch.float32).dtype == torch.float32
    assert EagerAttention(torch.float32).attend(q.half(), k.half(), v.half()).dtype == torch.float16
