"""What models of plain networks have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from latentry._bases._attention import set_slots
from latentry._bases._checkpoint import no_loras
from latentry._bases._preview import LinearPreview
from latentry._contract._conditioning import Conditioning, PromptSettings
from latentry._contract._lora import LoraMode, LoraRequest
from latentry._contract._model import AttentionBackend, LoadReport
from latentry._contract._noise_settings import NoiseSettings
from latentry._numerics._processes._prediction import Prediction
from latentry._numerics._processes._process import Process


class _Opened(Protocol):
    """What a model asks of the checkpoint that it was loaded from."""

    @property
    def noise(self) -> NoiseSettings: ...

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]: ...


class BaseModel(ABC):
    """A checkpoint in memory; see ``latentry.models.Model`` for what each method takes and gives.

    A family adds ``encode_prompt`` and ``predict``; ``encode`` and ``decode`` where the network does not draw pixels
    itself; and overrides what is different. Attention is served where the networks call an ``AttentionSlot``.

    Attributes:
        checkpoint: that it was loaded from.
        networks: by part, in the order of their use; the one that is evaluated at every step is ``denoiser``, ``unet``
            or ``transformer``.
        report: on the checkpoint's tensors.

    Class attributes:
        rows_of_timesteps: ``predict`` takes a timestep for each row.
    """

    rows_of_timesteps: ClassVar[bool] = False

    def __init__(self, checkpoint: _Opened, networks: Mapping[str, nn.Module], report: LoadReport) -> None:
        self.checkpoint, self.networks, self.report = checkpoint, networks, report
        self._preview: LinearPreview | None = None
        self.denoiser: Any = next(networks[part] for part in ("denoiser", "unet", "transformer") if part in networks)

    @abstractmethod
    def encode_prompt(self, prompts: Sequence[str], settings: PromptSettings) -> Conditioning:
        """The conditioning of each prompt."""

    @abstractmethod
    def predict(
        self, x: Tensor, timestep: float | Tensor, conditioning: Conditioning, *, skip_layers: tuple[int, ...] = ()
    ) -> Tensor:
        """The network's output for samples at one timestep, or at a timestep for each row."""

    @property
    def process(self) -> Process:
        """How noise was added in training."""
        return self.checkpoint.noise.process

    @property
    def prediction(self) -> Prediction:
        """What the network predicts."""
        return self.checkpoint.noise.prediction

    @property
    def device(self) -> torch.device:
        """Where the denoiser is."""
        device: torch.device = next(self.denoiser.parameters()).device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """What the denoiser runs in."""
        dtype: torch.dtype = next(self.denoiser.parameters()).dtype
        return dtype

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """Channels, height and width of one latent."""
        return self.checkpoint.latent_shape(width, height)

    def inpainting(self, pixels: Tensor, mask: Tensor) -> Mapping[str, Tensor]:
        """Nothing: only networks that are shown the mask override it."""
        return {}

    def encode(self, pixels: Tensor, noise: Tensor | None = None) -> Tensor:
        """The pixels themselves, as latents of a network that has no autoencoder."""
        return pixels.to(self.device, torch.float32)

    def decode(self, latents: Tensor) -> Tensor:
        """The latents themselves, as pixels."""
        return latents.to(self.device, torch.float32)

    def preview(self, latents: Tensor) -> Tensor:
        """Small rough pictures: the latents themselves, or a linear map that is fitted to the autoencoder once."""
        if "vae" not in self.networks:
            return self.decode(latents)
        if self._preview is None:  # threads that meet here fit the same
            self._preview = LinearPreview.fitted(self.encode, self.decode)
        return self._preview(latents)

    def set_attention(
        self, backend: AttentionBackend | str | None, *, role: str | None = None
    ) -> AbstractContextManager[None]:
        """Serves the networks' ``AttentionSlot``s."""
        return set_slots(self.networks.values(), backend, role, self.device, self.dtype)

    def set_tiling(self, side: int | None, *, slicing: bool = False) -> AbstractContextManager[None]:
        """Nothing: pixels go through no autoencoder."""
        return nullcontext()

    def set_loras(self, loras: Sequence[LoraRequest], mode: LoraMode = "unmerged") -> AbstractContextManager[None]:
        """Refuses every LoRA."""
        if loras:
            raise no_loras(self)
        return nullcontext()
