"""What a layer asks of a backend, and whether its record says yes; the one place where capabilities are compared."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from latentry._attention._arithmetic import default_scale
from latentry._specs import AttentionBackendSpec


@dataclass(frozen=True, kw_only=True)
class AttentionDemand:
    """What is known of a call before it is made; what is not known is left None.

    Attributes:
        device: its type, e.g. ``cuda``.
        dtype: by torch's name, e.g. ``float16``.
        head_size: of q, k and v.
        mask: a mask is given.
        causal: token i attends to keys 0..i.
        scale: the scores have another scale than 1/√(head size).
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
    """Which demand a backend does not declare to meet, in one sentence; None where it meets all."""
    if demand.device is not None and demand.device not in spec.devices:
        return f"It runs on {', '.join(sorted(spec.devices))}, not on {demand.device}."
    if demand.dtype is not None and demand.dtype not in spec.dtypes:
        return f"It takes {', '.join(sorted(spec.dtypes))}, not {demand.dtype}."
    if demand.head_size is not None and demand.head_size % spec.head_multiple:
        return f"The head size is {demand.head_size}, and it takes multiples of {spec.head_multiple}."
    if None not in (demand.head_size, spec.max_head_size) and demand.head_size > spec.max_head_size:  # type: ignore[operator]
        return f"The head size is {demand.head_size}, and it takes {spec.max_head_size} at most."
    if demand.mask and not spec.masks:
        return "There is a mask, and it takes none."
    if demand.causal and not spec.causal:
        return "The layer is causal, and it cannot be."
    if demand.scale and not spec.scales:
        return "The scores have a scale of their own, and it takes none."
    return None


def unlimited(spec: AttentionBackendSpec) -> bool:
    """Whether a backend declares to serve whatever a model can ask on its devices."""
    dtypes = spec.dtypes >= {"float32", "float16", "bfloat16"}
    sizes = spec.max_head_size is None and spec.head_multiple == 1
    return dtypes and sizes and spec.masks and spec.causal and spec.scales
