"""The dtype that each part of a model is loaded in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch


def part_dtypes(
    parts: Iterable[str],
    dtype: torch.dtype,
    asked: Mapping[str, torch.dtype] | None = None,
    *,
    vae: Mapping[str, Any] | None = None,
) -> dict[str, torch.dtype]:
    """The dtype of each part.

    Args:
        parts: the networks.
        dtype: the dtype of all parts that ``asked`` does not name.
        asked: dtypes by part.
        vae: configuration of an autoencoder that is kept in float32 where it would overflow, unless ``asked`` names
            it; see ``upcast``.
    """
    usual = dict.fromkeys(parts, dtype)
    if vae is not None and "vae" in usual:
        usual["vae"] = upcast(vae, dtype)
    return {part: (asked or {}).get(part, chosen) for part, chosen in usual.items()}


def upcast(config: Mapping[str, Any], dtype: torch.dtype) -> torch.dtype:
    """The dtype of an autoencoder where the other networks run in ``dtype``.

    float32 in place of float16, unless the configuration says ``force_upcast: false``: SDXL's own overflows there.
    """
    return torch.float32 if dtype == torch.float16 and config.get("force_upcast", True) else dtype
