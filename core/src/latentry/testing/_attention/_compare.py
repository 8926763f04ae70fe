"""Comparing a backend's answer with the definition in float64."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from latentry._attention._arithmetic import default_scale, eager_attention
from latentry._attention._self_check import on_device, tolerance
from latentry.testing._attention._subject import AttentionSubject
from latentry.testing._result import CheckResult

USUAL_LOGIT = 8.0
"""Scores of standard normal tensors stay below; the rounding of larger ones is larger in proportion."""


def compare(
    subject: AttentionSubject,
    check: str,
    case: str,
    device: str,
    tensors: list[Tensor],
    *,
    exact_logits: bool = False,
    **options: Any,
) -> CheckResult:
    """The finding of one call.

    Args:
        subject: the backend.
        check: the check's name.
        case: what is special about the call, in a few words.
        device: where to call.
        tensors: q, k and v on the CPU; dense ones keep their strides on the way to the device.
        exact_logits: the dtype represents the scores exactly, so no rounding is allowed for their size.
        options: mask, scale, causal.
    """
    q, k, v = tensors
    expected = eager_attention(q, k, v, **options)
    with torch.no_grad():
        found = subject.guarded.attend(q.to(device), k.to(device), v.to(device), **on_device(options, device))
    dtype = str(q.dtype).removeprefix("torch.")
    allowed = tolerance(subject.spec, q.dtype) * (1.0 if exact_logits else _stretch(q, k, options.get("scale")))
    wrong = _difference(found.cpu(), expected, q.dtype, v, allowed)
    return CheckResult(
        check=check,
        case=case,
        process=f"{device}, {dtype}",
        declared=f"the definition, within {allowed:.1e} of the largest value",
        measured=wrong or "as declared",
        passed=not wrong,
    )


def _difference(found: Tensor, expected: Tensor, dtype: torch.dtype, v: Tensor, allowed: float) -> str:
    if found.shape != expected.shape or found.dtype != dtype:
        return f"{found.dtype} of shape {tuple(found.shape)}, not {dtype} of {tuple(expected.shape)}"
    if not found.numel():
        return ""
    largest = float(v.double().abs().max()) if v.numel() else 1.0
    error = float((found.double() - expected).abs().max()) / largest
    return "" if error <= allowed else f"off by {error:.1e}"


def _stretch(q: Tensor, k: Tensor, scale: float | None) -> float:
    """How much larger than usual the largest score is."""
    if not q.numel() or not k.numel():
        return 1.0
    scale = default_scale(q.shape[-1]) if scale is None else scale
    return max(1.0, float((q.double() @ k.double().transpose(-1, -2)).abs().max()) * scale / USUAL_LOGIT)
