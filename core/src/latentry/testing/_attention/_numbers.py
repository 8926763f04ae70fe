"""Checks that compare numbers with the definition."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor

from latentry.testing._attention._compare import compare
from latentry.testing._attention._subject import AttentionSubject, draw
from latentry.testing._result import CheckResult

HEAD_SIZES = (1, 3, 8, 16, 40, 64, 80, 96, 128, 160, 256, 512)
COUNTS = ((1, 1), (1, 29), (37, 1), (7, 5), (33, 70), (70, 33), (64, 64))
"""Tokens and keys."""


def sizes(subject: AttentionSubject) -> Iterator[CheckResult]:
    """Every declared head size, and numbers of tokens and keys that are not multiples of 8.

    Troubleshooting: pad what the kernel wants padded and cut the result; or declare ``max_head_size`` and
    ``head_multiple``.
    """
    for device, dtype in subject.places():
        for size in subject.head_sizes(HEAD_SIZES):
            tensors = draw((2, 3, 17, size), (2, 3, 23, size), (2, 3, 23, size), dtype=dtype)
            yield compare(subject, "sizes", f"head size {size}", device, tensors)
        for tokens, keys in COUNTS:
            tensors = _ordinary(subject, dtype, tokens, keys)
            yield compare(subject, "sizes", f"{tokens} tokens, {keys} keys", device, tensors)


def masks(subject: AttentionSubject) -> Iterator[CheckResult]:
    """Masks, boolean and additive, in every shape that broadcasts; a row without a key gives 0.

    Troubleshooting: a softmax over −∞ alone is NaN: see ``score_bias`` and ``masked_rows`` in ``latentry.attention``.
    A backend that takes no mask declares ``masks=False``.
    """
    if not subject.spec.masks:
        return
    tokens, keys = 19, 27
    for device, dtype in subject.places():
        tensors = _ordinary(subject, dtype, tokens, keys)
        for shape in (*product((1, 2), (1, 3), (1, tokens), (keys,)), (tokens, keys), (keys,)):
            for kind, mask in _masks(shape, dtype):
                yield compare(subject, "masks", f"{kind} {shape}", device, tensors, mask=mask)


def _masks(shape: tuple[int, ...], dtype: torch.dtype) -> Iterator[tuple[str, Tensor]]:
    """A boolean and an additive one, of which a row leaves no key where rows have masks of their own; a finite one."""
    generator = torch.Generator().manual_seed(3)
    kept = torch.rand(shape, generator=generator) > 0.4
    kept[..., 0] = True
    yield "finite additive", torch.zeros(shape).masked_fill(~kept, -1e4).to(dtype)
    if len(shape) > 1 and shape[-2] > 1:
        kept[..., 0, :] = False
    yield "boolean", kept
    yield "additive", torch.randn(shape, generator=generator).masked_fill(~kept, -torch.inf).to(dtype)


def causal(subject: AttentionSubject) -> Iterator[CheckResult]:
    """Token i attends to keys 0..i, whatever the number of keys, with a mask besides where masks are declared.

    Troubleshooting: many kernels count from the last key instead: see ``latentry.attention.causal_by_squares``.
    """
    if not subject.spec.causal:
        return
    for device, dtype in subject.places():
        for tokens, keys in ((1, 1), (21, 21), (13, 30), (30, 13)):
            tensors = _ordinary(subject, dtype, tokens, keys)
            yield compare(subject, "causal", f"{tokens} tokens, {keys} keys", device, tensors, causal=True)
            if subject.spec.masks:
                for kind, mask in _masks((2, 1, tokens, keys), dtype):
                    case = f"{tokens} tokens, {keys} keys, {kind} mask"
                    yield compare(subject, "causal", case, device, tensors, causal=True, mask=mask)


def scale(subject: AttentionSubject) -> Iterator[CheckResult]:
    """Scales other than 1/√(head size), and that one given explicitly.

    Troubleshooting: pass the scale on; a head that is padded changes the default of most kernels.
    """
    own = 1.0 / math.sqrt(subject.head_size)
    for device, dtype in subject.places():
        tensors = _ordinary(subject, dtype, 15, 22)
        for value in (own, 0.02, 0.5, 1.0) if subject.spec.scales else (own,):
            yield compare(subject, "scale", f"scale {value:.3g}", device, tensors, scale=value)


def dtypes(subject: AttentionSubject) -> Iterator[CheckResult]:
    """Every declared dtype, which is the result's too.

    Troubleshooting: sum up in float32; declare only dtypes that are computed in, or ``error`` for a quantised kernel.
    """
    for device, dtype in product(subject.devices, subject.dtypes):
        if device == "mps" and dtype == torch.float64:
            continue
        tensors = _ordinary(subject, dtype, 31, 45)
        yield compare(subject, "dtypes", "plain", device, tensors)
        if subject.spec.masks:
            mask = torch.rand(1, 1, 31, 45, generator=torch.Generator().manual_seed(5)) > 0.5
            yield compare(subject, "dtypes", "masked", device, tensors, mask=mask)


def strides(subject: AttentionSubject) -> Iterator[CheckResult]:
    """Inputs that are not contiguous: heads split from a projection, a slice, an expanded key.

    Troubleshooting: most kernels want the last dimension contiguous, and say so or read the wrong numbers.
    """
    size = subject.head_size
    for device, dtype in subject.places():
        q, k, v = draw((2, 19, 3, size), (2, 26, 3, size), (2, 26, 3, size), dtype=dtype)
        split = [tensor.transpose(1, 2) for tensor in (q, k, v)]
        yield compare(subject, "strides", "split heads", device, split)
        q, k, v = draw((2, 3, 38, 2 * size), (2, 3, 26, 2 * size), (2, 3, 26, 2 * size), dtype=dtype)
        yield compare(subject, "strides", "slices", device, [q[:, :, ::2, ::2], k[..., ::2], v[..., 1::2]])
        q, k, v = draw((2, 3, 19, size), (1, 3, 26, size), (1, 1, 26, size), dtype=dtype)
        expanded = [q, k.expand(2, 3, 26, size), v.expand(2, 3, 26, size)]
        yield compare(subject, "strides", "expanded", device, expanded)
        turned = draw((2, 3, size, 19), (2, 3, size, 26), (2, 3, size, 26), dtype=dtype)
        yield compare(subject, "strides", "turned", device, [tensor.transpose(2, 3) for tensor in turned])


def edges(subject: AttentionSubject) -> Iterator[CheckResult]:
    """No batch, no token, no key, and one token alone.

    Troubleshooting: the guard answers what is empty before the backend sees it.
    """
    size = subject.head_size
    for device, dtype in subject.places():
        for batch, tokens, keys in ((0, 5, 5), (2, 0, 5), (2, 5, 0), (1, 1, 1)):
            tensors = draw((batch, 2, tokens, size), (batch, 2, keys, size), (batch, 2, keys, size), dtype=dtype)
            yield compare(subject, "edges", f"batch {batch}, {tokens} tokens, {keys} keys", device, tensors)


def logits(subject: AttentionSubject) -> Iterator[CheckResult]:
    """Scores as large as the dtype has them: every token finds its own key, and nothing overflows.

    Troubleshooting: take the row's largest score off before exp, and sum up in float32.
    """
    size = subject.head_size
    tokens = min(12, size)
    for device, dtype in product(subject.devices, subject.dtypes):
        if device == "mps" and dtype == torch.float64:
            continue
        (v,) = draw((1, 2, tokens, size), dtype=dtype)
        unit = torch.eye(tokens, size).to(dtype).expand(1, 2, tokens, size)
        q = unit * min(1e4, math.sqrt(torch.finfo(dtype).max) / 2)
        yield compare(subject, "logits", f"up to {float(q.max()) ** 2:.0e}", device, [q, q, v], exact_logits=True)


def _ordinary(subject: AttentionSubject, dtype: torch.dtype, tokens: int, keys: int) -> list[Tensor]:
    size = subject.head_size
    return draw((2, 3, tokens, size), (2, 3, keys, size), (2, 3, keys, size), dtype=dtype)
