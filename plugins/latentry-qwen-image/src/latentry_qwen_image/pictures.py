"""Pictures that an editing model is shown."""

from __future__ import annotations

import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor

MULTIPLE = 32
"""Of which the sides of a picture are made, in pixels."""


def fitted(picture: Image.Image, side: int) -> Image.Image:
    """A picture at about ``side``² pixels in its own proportions, as diffusers scales it."""
    width = side * math.sqrt(picture.width / picture.height)
    height = width * picture.height / picture.width
    wide, high = (max(1, round(each / MULTIPLE)) * MULTIPLE for each in (width, height))
    return picture.resize((wide, high), Image.Resampling.LANCZOS)


def pixels(picture: Image.Image) -> Tensor:
    """Values (1, 3, height, width) in −1..1."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] / 127.5 - 1.0
