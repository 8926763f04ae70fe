"""Inpainting: the kept pixels of the picture, put back after decoding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageFilter

from latentry._resolve._shown._inputs import Inputs


def paste_kept(drawn: Sequence[Image.Image], inputs: Inputs, feather: int) -> tuple[Image.Image, ...]:
    """Drawn pictures, with the pixels that the mask keeps bit for bit those of the original.

    Args:
        drawn: what the model drew, of the inputs' size.
        inputs: the original and its mask; without a mask the pictures are returned as they are.
        feather: width in pixels of a soft edge. It lies on the drawn side, so that kept pixels do not change.
    """
    if inputs.image is None or inputs.mask is None:
        return tuple(drawn)
    share = soft_mask(inputs.mask, feather)
    return tuple(Image.composite(picture, inputs.image, share) for picture in drawn)


def soft_mask(mask: Image.Image, feather: int) -> Image.Image:
    """How much of the drawing shows in each pixel, as greyscale: 0 where the mask keeps.

    On the drawn side it rises from 1/(feather + 1) next to a kept pixel to 1 at a distance of feather + 1 pixels.
    """
    inside = mask.point([0] * 128 + [255] * 128)
    total = np.asarray(inside, dtype=np.float32)
    for _ in range(feather):
        inside = inside.filter(ImageFilter.MinFilter(3))  # one pixel fewer at each edge
        total = total + np.asarray(inside, dtype=np.float32)
    return Image.fromarray(np.rint(total / (feather + 1)).astype(np.uint8))
