"""Between tensors in −1..1 and pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def to_pictures(pixels: Tensor) -> list[Image.Image]:
    """RGB pictures of (batch, 3, height, width) in −1..1; values outside are clipped."""
    levels = pixels.float().clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)
    return [Image.fromarray(picture) for picture in levels.permute(0, 2, 3, 1).cpu().numpy()]


def to_pixels(pictures: Sequence[Image.Image]) -> Tensor:
    """(batch, 3, height, width) in −1..1, float32, of pictures of one size."""
    levels = np.stack([np.asarray(picture.convert("RGB")) for picture in pictures])
    return torch.from_numpy(levels).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_levels(picture: Image.Image) -> Tensor:
    """(1, 1, height, width), 0 to 1, float32, of a greyscale picture."""
    return torch.from_numpy(np.array(picture)).float()[None, None] / 255


def to_mask(picture: Image.Image) -> Tensor:
    """(1, 1, height, width), 1 where a greyscale picture is at least half white and 0 elsewhere, float32."""
    return (torch.from_numpy(np.array(picture)) >= 128).float()[None, None]
