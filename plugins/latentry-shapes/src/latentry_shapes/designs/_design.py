"""What a design has to say for a model to be trained by it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from latentry_shapes.encoders import States
from latentry_shapes.objectives import Kind


class Design(ABC):
    """An architecture in miniature.

    Attributes:
        channels: of the latents, which says which autoencoder it stands on.
        encoders: its text encoders, by their names in ``TEXT_ENCODERS``.
        kind: what the denoiser says.
        masked: the denoiser also sees a mask and the latents of the picture around it.
        muon: whether the denoiser's matrices are trained with Muon; a transformer learns faster so.
        halves: whether the denoiser also learns from scenes in which some things are half said; a transformer, which
            sees a thing whole, otherwise learns which colours a shape never had.
        steps: how long the denoiser learns where it begins with nothing.
        begins_with: the design whose trained denoiser it starts from.
    """

    channels: ClassVar[int]
    encoders: ClassVar[Sequence[str]]
    kind: Kind = "epsilon"
    masked: bool = False
    muon: ClassVar[bool] = False
    halves: ClassVar[bool] = False
    steps: ClassVar[int] = 7000
    begins_with: str | None = None

    @abstractmethod
    def denoiser(self) -> nn.Module:
        """The untrained network."""

    def lesson(self, told: Sequence[States], draws: torch.Generator) -> Sequence[States]:
        """What of all that the text encoders say the denoiser is told in training."""
        return told

    @abstractmethod
    def say(self, denoiser: Any, x: Tensor, times: Tensor, told: Sequence[States]) -> Tensor:
        """The denoiser's output.

        Args:
            denoiser: the network.
            x: (batch, channels, 16, 16); a masked design's with the mask and the masked latents behind.
            times: (batch,), 0..1000.
            told: of each text encoder.
        """

    @abstractmethod
    def scheduler(self) -> Any:
        """diffusers' scheduler, whose configuration tells what the model was trained on."""

    @abstractmethod
    def folders(self) -> Mapping[str, str]:
        """Folder names of the parts: ``denoiser`` and each text encoder; ``tokenizer`` follows the encoder's."""

    @property
    @abstractmethod
    def pipeline(self) -> str:
        """diffusers' pipeline class."""

    def settings(self) -> Mapping[str, Any]:
        """Further entries of ``model_index.json``."""
        return {}

    def exported(self, encoder: str, network: Any) -> Any:
        """A text encoder as the pipeline has it."""
        return network


def adopt(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Takes weights over as far as they reach: of a tensor that is larger here, the rest becomes zero."""
    with torch.no_grad():
        for name, own in network.state_dict().items():
            given = state.get(name)
            if given is None or given.ndim != own.ndim:
                continue
            shared = tuple(slice(0, min(a, b)) for a, b in zip(own.shape, given.shape, strict=True))
            if given.shape != own.shape:
                own.zero_()
            own[shared] = given[shared]
