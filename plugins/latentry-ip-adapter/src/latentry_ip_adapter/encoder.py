"""The image encoder, and pictures as it takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of the channels in CLIP's training (Radford et al. 2021, arXiv:2103.00020)."""


def load_encoder(folder: Path, device: torch.device, dtype: torch.dtype, *, siglip: bool = False) -> Any:
    """transformers' ``CLIPVisionModelWithProjection``, or its ``SiglipVisionModel``."""
    import transformers

    kind: Any = transformers.SiglipVisionModel if siglip else transformers.CLIPVisionModelWithProjection
    found = kind.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    return found.to(device, dtype).eval().requires_grad_(False)


def pixels_of(picture: Tensor, side: int) -> Tensor:
    """(1, 3, side, side), normalised, of the middle of a picture (1, 3, height, width) in −1..1.

    The shorter edge is scaled, and the middle cut out, as transformers' ``CLIPImageProcessor`` does.
    """
    image = _image(picture)
    wide, high = (int(side * each / min(image.size)) for each in image.size)
    left, top = (wide - side) // 2, (high - side) // 2
    fitted = image.resize((wide, high), Image.Resampling.BICUBIC).crop((left, top, left + side, top + side))
    mean, deviation = (torch.tensor(each).view(3, 1, 1) for each in (MEAN, DEVIATION))
    return ((_levels(fitted) - mean) / deviation)[None]


def whole_pixels_of(picture: Tensor, side: int) -> Tensor:
    """(1, 3, side, side) in −1..1 of a whole picture, whose proportions change, as SigLIP takes it."""
    fitted = _image(picture).resize((side, side), Image.Resampling.BICUBIC)
    return (_levels(fitted) * 2 - 1)[None]


def _image(picture: Tensor) -> Image.Image:
    levels = ((picture[0].permute(1, 2, 0) + 1) * 127.5).round().to(torch.uint8).cpu().numpy()
    return Image.fromarray(levels)


def _levels(image: Image.Image) -> Tensor:
    """(3, height, width) in 0..1."""
    shown = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return shown.view(image.height, image.width, 3).permute(2, 0, 1).float() / 255
