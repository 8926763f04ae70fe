"""What checkpoints of plain networks have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from latentry._contract._lora import LoraMatch
from latentry._contract._model import Model
from latentry._contract._noise_settings import NoiseSettings
from latentry._errors import IncompatibleError, OptionError
from latentry._specs import ModelFiles


@dataclass(frozen=True)
class BaseCheckpoint(ABC):
    """A checkpoint whose configuration has been read; see ``latentry.models.Checkpoint`` for what each method takes.

    A family adds ``load``, and overrides what is different: a time shift, layers that can be skipped, LoRAs.

    Attributes:
        files: where it lies.
        variant: the name of its variant.
        noise: process and prediction that it was trained with.
        size: height and width in pixels that it draws best.

    Class attributes:
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

    parts: ClassVar[tuple[str, ...]] = ("denoiser",)
    channels: ClassVar[int] = 3
    factor: ClassVar[int] = 1
    stride: ClassVar[int] = 1
    layers: ClassVar[int] = 0

    @abstractmethod
    def load(self, device: torch.device, dtype: torch.dtype, dtypes: Mapping[str, torch.dtype] | None = None) -> Model:
        """The networks with their weights."""

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
        """Refuses every LoRA."""
        if paths:
            raise no_loras(self)
        return ()


def no_loras(family: object) -> IncompatibleError:
    """The error for a LoRA on a family that has no code for them."""
    return IncompatibleError(
        "This model takes no LoRAs.",
        why=f"Its family has no code for them ({type(family).__name__}).",
        remedy="Leave the LoRAs out.",
        field="loras",
    )
