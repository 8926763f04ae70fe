"""What a layer needs from a backend, compared with what its record declares. No other place compares them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from latentry._attention._arithmetic import default_scale
from latentry._specs import AttentionBackendSpec


@dataclass(frozen=True, kw_only=True)
class AttentionDemand:
    """What is known about a call before it is made; None for what is not known.

    Attributes:
        device: its type, e.g. ``cuda``.
        dtype: by torch's name, e.g. ``float16``.
        head_size: of q, k and v.
        mask: a mask is given.
        causal: token i attends to keys 0..i.
        scale: the scores have a scale other than 1/√(head size).
    """

    device: str | None = None
    dtype: str | None = None
    head_size: int | None = None
    mask: bool = False
    causal: bool = False
    scale: bool = False

    @classmethod
    def of(cls, q: Tensor, *, mask: Tensor | None, scale: float | None, causal: bool) -> AttentionDemand:
        """The demand of a call of ``AttentionBackend.attend``."""
        head_size = q.shape[-1]
        return cls(
            device=q.device.type,
            dtype=str(q.dtype).removeprefix("torch."),
            head_size=head_size,
            mask=mask is not None,
            causal=causal,
            scale=scale is not None and not math.isclose(scale, default_scale(head_size)),
        )


def unmet(spec: AttentionBackendSpec, demand: AttentionDemand) -> str | None:
    """Why a backend cannot serve, by its record, in one sentence; None where it can."""
    if demand.device is not None and demand.device not in spec.devices:
        return f"It supports {', '.join(sorted(spec.devices))}, not {demand.device}."
    if demand.dtype is not None and demand.dtype not in spec.dtypes:
        return f"It supports {', '.join(sorted(spec.dtypes))}, not {demand.dtype}."
    if demand.head_size is not None and demand.head_size % spec.head_multiple:
        return f"It supports head sizes that are multiples of {spec.head_multiple}, not {demand.head_size}."
    if None not in (demand.head_size, spec.max_head_size) and demand.head_size > spec.max_head_size:  # type: ignore[operator]
        return f"It supports head sizes up to {spec.max_head_size}, not {demand.head_size}."
    if demand.mask and not spec.masks:
        return "It does not support masks."
    if demand.causal and not spec.causal:
        return "It does not support causal attention."
    if demand.scale and not spec.scales:
        return "It supports only the default scale, 1/√(head size)."
    return None


def unlimited(spec: AttentionBackendSpec) -> bool:
    """Whether a backend declares no limits on its devices."""
    dtypes = spec.dtypes >= {"float32", "float16", "bfloat16"}
    sizes = spec.max_head_size is None and spec.head_multiple == 1
    return dtypes and sizes and spec.masks and spec.causal and spec.scales
