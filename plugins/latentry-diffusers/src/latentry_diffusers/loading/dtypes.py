"""What each part of a model is loaded in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from latentry_diffusers.model.autoencoder import upcast

if TYPE_CHECKING:
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
        dtype: of those that are not asked for apart.
        asked: dtypes by part.
        vae: configuration of an autoencoder that is kept in float32 where it would overflow, unless asked for apart;
            see ``upcast``.
    """
    usual = dict.fromkeys(parts, dtype)
    if vae is not None and "vae" in usual:
        usual["vae"] = upcast(vae, dtype)
    return {part: (asked or {}).get(part, chosen) for part, chosen in usual.items()}
