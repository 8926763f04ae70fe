"""Pictures that the network is shown, at the sizes at which it takes them."""

from __future__ import annotations

import math

from PIL import Image

AREA = 1024 * 1024
"""The most pixels; larger pictures are scaled down to it."""


def fitted(picture: Image.Image, multiple: int) -> Image.Image:
    """A picture at a size that the network takes: at most ``AREA``, its edges cut to a multiple, nothing scaled up.

    Sides below the multiple are the exception.

    Args:
        picture: RGB.
        multiple: of both sides, in pixels.
    """
    width, height = picture.size
    if width * height > AREA:
        scale = math.sqrt(AREA / (width * height))
        picture = picture.resize((int(width * scale), int(height * scale)), Image.Resampling.LANCZOS)
    least = max(multiple / side for side in picture.size)
    if least > 1.0:
        width, height = (math.ceil(side * least) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    wide, high = (side // multiple * multiple for side in picture.size)
    left, top = (picture.width - wide) // 2, (picture.height - high) // 2
    return picture.crop((left, top, left + wide, top + high))
