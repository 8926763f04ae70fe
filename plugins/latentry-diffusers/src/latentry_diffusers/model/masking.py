"""The mask and the masked picture that inpainting UNets take as further channels."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from latentry.models import Conditioning
from latentry_diffusers.model.autoencoder import PictureCoder


def mask_and_masked(autoencoder: PictureCoder, pixels: Tensor, mask: Tensor) -> Mapping[str, Tensor]:
    """``mask`` (batch, 1, h, w), scaled by nearest pixels as in diffusers, and ``masked`` (batch, c, h, w), the latents
    of the picture with grey where it will be drawn.

    Args:
        autoencoder: encodes the picture.
        pixels: (batch, 3, H, W) in −1..1.
        mask: (batch, 1, H, W), 1 where the picture will be drawn.
    """
    masked = autoencoder.encode(pixels * (mask < 0.5))
    return {"mask": interpolate(mask.to(masked), size=masked.shape[-2:]), "masked": masked}


def with_mask(x: Tensor, conditioning: Conditioning) -> Tensor:
    """The sample, followed by the channels of mask and masked picture where the conditioning has them."""
    extra = [conditioning[name].to(x.dtype) for name in ("mask", "masked") if name in conditioning]
    return torch.cat([x, *extra], dim=1) if extra else x
