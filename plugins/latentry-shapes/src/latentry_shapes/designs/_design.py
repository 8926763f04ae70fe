"""What an architecture must define so that a model can be trained with it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from latentry_shapes.encoders import States
from latentry_shapes.objectives import Kind
from latentry_shapes.text_training import NO_BACKGROUND


class Design(ABC):
    """A published architecture in miniature.

    Attributes:
        channels: of the latents, 4 or 16, which also selects the autoencoder.
        encoders: its text encoders, by their names in ``TEXT_ENCODERS``.
        kind: what the denoiser predicts.
        masked: whether it is an inpainting model, which is also given a mask and the latents of the masked picture.
        muon: whether the denoiser's matrices are trained with Muon, with which a transformer learns faster.
        partly_named: whether the denoiser also learns from captions that name only the colour or only the shape of some
            things. Transformers and SDXL otherwise learn which colours a shape never had.
        no_background: share of captions that do not name the background.
        noisy: share of training timesteps that are drawn from the noisiest ones; unused for flow.
        steps: of the denoiser's training.
        starts_from: the design with whose trained denoiser it starts, or None.
    """

    channels: ClassVar[int]
    encoders: ClassVar[Sequence[str]]
    kind: Kind = "epsilon"
    masked: bool = False
    muon: ClassVar[bool] = False
    partly_named: ClassVar[bool] = False
    no_background: float = NO_BACKGROUND
    noisy: float = 0.5
    steps: int = 7000
    starts_from: str | None = None

    @abstractmethod
    def denoiser(self) -> nn.Module:
        """The network with random weights."""

    def training_states(self, states: Sequence[States], generator: torch.Generator) -> Sequence[States]:
        """The text encoders' output as training gives it to the denoiser; some of it may be dropped or exchanged."""
        return states

    @abstractmethod
    def predict(self, denoiser: Any, x: Tensor, times: Tensor, states: Sequence[States]) -> Tensor:
        """The denoiser's output, (batch, channels, 16, 16).

        Args:
            denoiser: the network.
            x: (batch, channels, 16, 16); for an inpainting model followed by the mask and the masked latents.
            times: (batch,), 0 to 1000.
            states: output of each text encoder.
        """

    @abstractmethod
    def scheduler(self) -> Any:
        """The diffusers scheduler whose configuration says what the model was trained on."""

    @abstractmethod
    def folders(self) -> Mapping[str, str]:
        """Folder names of the parts: ``denoiser`` and each text encoder. Tokenizers are named after the encoders."""

    @property
    @abstractmethod
    def pipeline(self) -> str:
        """Name of the diffusers pipeline class."""

    def settings(self) -> Mapping[str, Any]:
        """Further entries of ``model_index.json``."""
        return {}

    def exported(self, encoder: str, network: Any) -> Any:
        """A text encoder as the pipeline expects it."""
        return network


def adopt(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Copies weights by name. If a tensor of the network is larger than the given one, the rest of it becomes zero."""
    with torch.no_grad():
        for name, own in network.state_dict().items():
            given = state.get(name)
            if given is None or given.ndim != own.ndim:
                continue
            shared = tuple(slice(0, min(a, b)) for a, b in zip(own.shape, given.shape, strict=True))
            if given.shape != own.shape:
                own.zero_()
            own[shared] = given[shared]
