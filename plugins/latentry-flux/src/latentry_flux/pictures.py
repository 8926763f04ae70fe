"""The picture that Canny and Depth draw from, as the autoencoder takes it."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor


def fitted_pixels(picture: Image.Image, width: int, height: int) -> Tensor:
    """(1, 3, height, width) in −1..1, float32, of the middle of a picture, scaled by Lanczos."""
    size = (width, height)
    fitted = picture if picture.size == size else ImageOps.fit(picture, size, Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(fitted.convert("RGB"))).permute(2, 0, 1)[None].float() / 127.5 - 1
