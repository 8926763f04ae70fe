"""What goes through a network, alone or in company: evaluations of a denoiser, and pictures to decode."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from latentry._capture._captured import shared_calls
from latentry._contract._inference import inference, normal
from latentry._contract._model import Model
from latentry._discovery import plugin_call
from latentry._guidance._rows import Rows, predict_together

MOST_ROWS = 32
"""Rows of one pass, where memory allows them."""
VALUES = 16_384
"""Values that a denoiser holds at once for each position of a latent, with room: counted on meta tensors, without the
scores that fused attention does not make, they are 3,500 of SD 1.5, 3,100 of SD3 and 10,600 of FLUX."""
SHARE = 0.5
"""Of the free memory of a GPU, for the values of one pass."""
POSITIONS = 64 * 64
"""Positions of latents that are decoded at once, unless one picture has more: no more memory than one of 512 by 512
pixels takes, and larger ones fill a device by themselves."""


class Shared(Protocol):
    """Work that goes through a network."""

    @property
    def kind(self) -> Hashable:
        """Equal for works that can go through together."""
        ...

    @property
    def place(self) -> Hashable:
        """What the memory of a pass depends on besides the number of rows."""
        ...

    @property
    def size(self) -> int:
        """How many rows."""
        ...

    @property
    def most(self) -> int:
        """Rows of one pass of this kind."""
        ...

    @property
    def urgent(self) -> bool:
        """Whether it goes before what is not."""
        ...

    def together(self, several: Sequence[Any]) -> Sequence[Tensor]:
        """What comes of several works of this kind, this one among them, in one pass."""
        ...


@dataclass(frozen=True, eq=False)
class Evaluation:
    """An evaluation of the denoiser.

    Attributes:
        rows: what is evaluated.
    """

    rows: Rows
    urgent = False

    @property
    def kind(self) -> Hashable:
        """See ``Rows``."""
        return self.rows.kind

    @property
    def place(self) -> Hashable:
        """See ``Shared``."""
        return "denoiser", id(self.rows.model), tuple(self.rows.x.shape[1:])

    @property
    def size(self) -> int:
        """See ``Shared``."""
        return len(self.rows.x)

    @property
    def most(self) -> int:
        """See ``Shared``."""
        return min(MOST_ROWS, fitting(self.rows.x))

    def together(self, several: Sequence[Evaluation]) -> Sequence[Tensor]:
        """The outputs."""
        if len(several) == 1:
            return [self.rows.predict()]
        with shared_calls(self.rows.model.networks.values()):
            return predict_together([each.rows for each in several])


@dataclass(frozen=True, eq=False)
class Decoding:
    """Pictures to decode. They come before evaluations, so that nobody waits for a picture that is nearly finished.

    Attributes:
        model: whose autoencoder it is; all that use it at the same time have it set in one way.
        latents: (batch, channels, height, width).
    """

    model: Model
    latents: Tensor
    urgent = True

    @property
    def kind(self) -> Hashable:
        """See ``Shared``."""
        return *self.place, self.latents.dtype

    @property
    def place(self) -> tuple[Hashable, ...]:
        """See ``Shared``."""
        return "autoencoder", id(self.model), tuple(self.latents.shape[1:])

    @property
    def size(self) -> int:
        """See ``Shared``."""
        return len(self.latents)

    @property
    def most(self) -> int:
        """See ``Shared``."""
        return max(1, POSITIONS // (self.latents.shape[-2] * self.latents.shape[-1]))

    def together(self, several: Sequence[Decoding]) -> Sequence[Tensor]:
        """The pixels, (batch, 3, height, width) in −1..1 for each."""
        latents = self.latents if len(several) == 1 else torch.cat([each.latents for each in several])
        with plugin_call(self.model), inference():
            pixels = self.model.decode(latents)
            if len(pixels) != len(latents):
                raise ValueError(f"decode gave {len(pixels)} pictures for {len(latents)} latents")
        return torch.split(normal(pixels), [each.size for each in several])


def fitting(x: Tensor) -> int:
    """How many rows of this kind fit into the memory that is free; on a CPU that is the host's matter."""
    if x.device.type != "cuda":
        return MOST_ROWS
    free, _ = torch.cuda.mem_get_info(x.device)
    free += torch.cuda.memory_reserved(x.device) - torch.cuda.memory_allocated(x.device)
    return max(1, int(SHARE * free / (VALUES * x.shape[-2] * x.shape[-1] * x.element_size())))
