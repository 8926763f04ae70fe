"""What checkpoints of plain networks have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import nn

from latentry._bases._loras import Loras
from latentry._bases._model import BaseModel
from latentry._bases._weights import load_weights
from latentry._contract._lora import LoraMatch
from latentry._contract._model import Model
from latentry._contract._noise_settings import NoiseSettings
from latentry._errors import OptionError
from latentry._specs import ModelFiles


@dataclass(frozen=True)
class BaseCheckpoint(ABC):
    """A checkpoint whose configuration has been read; see ``latentry.models.Checkpoint`` for what each method takes.

    A family adds ``model`` and ``build``, and overrides what is different: a time shift, weights that are not in one
    safetensors file, LoRAs in layouts of its own.

    Attributes:
        files: where it lies.
        variant: the name of its variant.
        noise: process and prediction that it was trained with.
        size: height and width in pixels that it draws best.

    Class attributes:
        model: the family's ``BaseModel``.
        parts: its networks.
        channels: of the latents.
        factor: pixels along each side of one latent; 1 for networks on pixels.
        stride: every side in pixels is a multiple of it.
        layers: how many layers skip-layer guidance may choose from.
    """

    files: ModelFiles
    variant: str
    noise: NoiseSettings
    size: int

    model: ClassVar[type[BaseModel]]
    parts: ClassVar[tuple[str, ...]] = ("denoiser",)
    channels: ClassVar[int] = 3
    factor: ClassVar[int] = 1
    stride: ClassVar[int] = 1
    layers: ClassVar[int] = 0

    @abstractmethod
    def build(self) -> Mapping[str, nn.Module]:
        """The networks by part, without the checkpoint's weights."""

    def load(self, device: torch.device, dtype: torch.dtype, dtypes: Mapping[str, torch.dtype] | None = None) -> Model:
        """The networks with their weights, which are in one safetensors file."""
        networks = self.build()
        return self.model(self, networks, load_weights(self.files.path, networks, device, dtype, dtypes))

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """Channels, height and width of one latent."""
        multiple = max(self.stride, self.factor)
        if min(width, height) < multiple or width % multiple or height % multiple:
            near = [max(multiple, round(side / multiple) * multiple) for side in (width, height)]
            raise OptionError(
                f"This model cannot draw {width}×{height} pixels.",
                why=f"Width and height must be multiples of {multiple}, at least {multiple}.",
                remedy=f"Use {near[0]}×{near[1]}; it draws best at {self.size}×{self.size}.",
            )
        return self.channels, height // self.factor, width // self.factor

    def shift(self, width: int, height: int) -> float | None:
        """No time shift: 1 on a flow, and elsewhere what the sigma schedule says."""
        return 1.0 if self.noise.process.kind == "flow" else None

    def match_loras(self, paths: Sequence[Path]) -> tuple[LoraMatch, ...]:
        """Finds the layers of LoRAs in PEFT's layout or diffusers', each a safetensors file."""
        if not paths:
            return ()
        with torch.device("meta"):
            loras = Loras(self.build())
        return tuple(loras.match(path) for path in paths)
