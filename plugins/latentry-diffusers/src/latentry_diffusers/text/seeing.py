"""Encodes prompts with a language model that is shown pictures: how Qwen2.5-VL sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

PATCH, MERGED, FRAMES = 14, 2, 2
"""Of the picture encoder: pixels along a patch's side, patches along a token's, and frames that a patch spans."""
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""CLIP's, by channel."""
PICTURE = "<|image_pad|>"
"""Stands for one token of a picture in Qwen2.5-VL's vocabulary; left out of prompts."""


class Seeing:
    """Qwen2.5-VL beside pictures, called as a language model is.

    transformers' own preparation of pictures would need torchvision or, without it, its newest versions.

    Args:
        encoder: transformers' ``Qwen2_5_VLModel``.
        pictures: RGB.

    Attributes:
        device: where the encoder is.
        tokens: how many tokens each picture takes.
    """

    def __init__(self, encoder: Any, pictures: Sequence[Image.Image]) -> None:
        self._encoder, self.device = encoder, encoder.device
        patches = [_patches(picture) for picture in pictures]
        self._grids = [(1, rows, columns) for _, rows, columns in patches]
        self._patches = torch.cat([values for values, _, _ in patches]).to(self.device)
        self.tokens = [rows * columns // MERGED**2 for _, rows, columns in self._grids]

    def __call__(self, input_ids: Tensor, **options: Any) -> Any:
        """What the encoder gives for token ids (1, tokens); ``options`` are passed on."""
        shown = {"pixel_values": self._patches, "image_grid_thw": torch.tensor(self._grids, device=self.device)}
        return self._encoder(input_ids=input_ids, position_ids=self._positions(input_ids), **shown, **options)

    def _positions(self, input_ids: Tensor) -> Tensor:
        """(frame, row, column) of each token, (3, 1, tokens); those of a text count up in all three.

        Bai et al. 2025, arXiv:2502.13923, section 2.1.3.
        """
        grids, places, at, first = iter(self._grids), [], 0, 0
        ids = input_ids[0].tolist()
        while at < len(ids):
            if ids[at] == self._encoder.config.image_token_id:
                _, rows, columns = (max(1, side // MERGED) for side in next(grids))
                own = torch.cartesian_prod(*(torch.arange(side) for side in (1, rows, columns)))
                at, length = at + len(own), max(rows, columns)
            else:
                own, at, length = torch.zeros(1, 3, dtype=torch.long), at + 1, 1
            places.append(own + first)
            first += length
        return torch.cat(places).T[:, None].to(self.device)


def _patches(picture: Image.Image) -> tuple[Tensor, int, int]:
    """A picture's patches (patches, values), those of a token one after another, and the rows and columns of them."""
    unit = PATCH * MERGED
    width, height = (max(1, round(side / unit)) * unit for side in picture.size)
    values = np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32) / 255.0
    normed = torch.from_numpy(((values - MEAN) / STD).astype(np.float32)).permute(2, 0, 1)
    rows, columns = height // unit, width // unit
    cut = normed.reshape(3, rows, MERGED, PATCH, columns, MERGED, PATCH).permute(1, 4, 2, 5, 0, 3, 6)
    spread = cut[:, :, :, :, :, None].expand(-1, -1, -1, -1, -1, FRAMES, -1, -1)
    return spread.reshape(rows * columns * MERGED**2, -1), rows * MERGED, columns * MERGED
