"""Tensors that conditioners inject, as the arguments that diffusers' denoisers take.

A UNet has ``down.N``, added to the N-th skip connection from that of the first convolution on; ``mid``, after the
middle block; ``adapter.N``, within the N-th block on the way down, before its downsampling (Mou et al. 2023,
arXiv:2302.08453). What is at ``cross`` goes to its layers of cross-attention. A transformer has a point after each
block.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def skip_connections(unet: Any) -> int:
    """How many skip connections a UNet has."""
    return 1 + sum(len(block.resnets) + len(block.downsamplers or ()) for block in unet.down_blocks)


def unet_options(unet: Any, injected: Mapping[str, Tensor] | None, like: Tensor) -> dict[str, Any]:
    """The arguments for one evaluation.

    Args:
        unet: diffusers' network.
        injected: by injection point; points without a tensor get nothing added.
        like: says the dtype and the device.
    """
    if not injected:
        return {}
    options: dict[str, Any] = {}
    nothing = like.new_zeros(1)
    if any(name == "mid" or name.startswith("down.") for name in injected):
        down = [injected.get(f"down.{number}", nothing) for number in range(skip_connections(unet))]
        options["down_block_additional_residuals"] = tuple(each.to(like.dtype) for each in down)
        options["mid_block_additional_residual"] = injected.get("mid", nothing).to(like.dtype)
    if any(name.startswith("adapter.") for name in injected):
        # one more than there are blocks belongs to the middle block, which compares shapes
        inside = [injected.get(f"adapter.{number}", nothing) for number in range(len(unet.down_blocks) + 1)]
        rows = like.shape[0]
        options["down_intrablock_additional_residuals"] = [
            each.to(like.dtype).expand(rows, *each.shape[1:]) if each.ndim == 4 else each for each in inside
        ]
    return options


def block_tensors(injected: Mapping[str, Tensor] | None, name: str, count: int, like: Tensor) -> list[Tensor] | None:
    """The tensors for the blocks of a transformer, ``NAME.0`` and so on; None where there is none for any of them."""
    if not injected or not any(point.startswith(f"{name}.") for point in injected):
        return None
    nothing = like.new_zeros(1)
    return [injected.get(f"{name}.{number}", nothing).to(like.dtype) for number in range(count)]
