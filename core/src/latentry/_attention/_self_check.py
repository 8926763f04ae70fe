"""A small numeric check of a backend against the definition, before ``auto`` uses it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from latentry._attention._arithmetic import eager_attention
from latentry._contract._model import AttentionBackend
from latentry._discovery._problems import cause
from latentry._specs import AttentionBackendSpec

TOKENS, KEYS = 37, 53


def tolerance(spec: AttentionBackendSpec, dtype: torch.dtype) -> float:
    """Largest allowed error against the definition, relative to the largest value of v.

    A kernel rounds the weights and the result to the dtype once each; in full precision, a row of products adds up as
    well. A backend that quantises declares its error in its record.
    """
    roundings = 3 if dtype.itemsize == 2 else 32
    return max(spec.error, roundings * torch.finfo(dtype).eps)


def self_check(
    spec: AttentionBackendSpec, backend: AttentionBackend, device: torch.device, dtype: torch.dtype
) -> str | None:
    """What is wrong with a backend, in one sentence; None where it matches the definition."""
    size = min(64, spec.max_head_size or 64) // spec.head_multiple * spec.head_multiple or spec.head_multiple
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, 2, n, size, generator=generator).to(dtype) for n in (TOKENS, KEYS, KEYS))
    for name, options in _cases(spec, generator):
        try:
            with torch.no_grad():
                found = backend.attend(q.to(device), k.to(device), v.to(device), **on_device(options, device)).cpu()
        except Exception as error:
            return f"it fails {name}: {cause(error)}"
        expected = eager_attention(q, k, v, **options)
        if found.shape != expected.shape:
            return f"it returns the shape {tuple(found.shape)} instead of {tuple(expected.shape)} {name}"
        error_ = float((found.double() - expected).abs().max() / v.double().abs().max())
        if not error_ <= tolerance(spec, dtype):
            return f"its error is {error_:.1e} {name}; {tolerance(spec, dtype):.1e} is allowed"
    return None


def on_device(options: Mapping[str, Any], device: torch.device | str) -> dict[str, Any]:
    """Arguments, with tensors moved to a device."""
    return {key: value.to(device) if isinstance(value, Tensor) else value for key, value in options.items()}


def _cases(spec: AttentionBackendSpec, generator: torch.Generator) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "without a mask", {}
    if spec.masks:
        mask = torch.rand(1, 1, TOKENS, KEYS, generator=generator) > 0.5
        mask[:, :, 0] = False
        yield "with a mask", {"mask": mask}
    if spec.causal:
        yield "when causal", {"causal": True}
    if spec.scales:
        yield "with a scale", {"scale": 0.25}
