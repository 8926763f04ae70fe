"""What models of plain networks have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from latentry._bases._attention import set_slots
from latentry._bases._loras import DENOISERS, Loras
from latentry._bases._preview import LinearPreview
from latentry._bases._tiles import in_tiles
from latentry._contract._conditioning import Conditioning, PromptSettings
from latentry._contract._lora import LoraMode, LoraRequest
from latentry._contract._model import AttentionBackend, LoadReport
from latentry._contract._noise_settings import NoiseSettings
from latentry._errors import OptionError
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
    itself; and overrides what is different. Attention is served where the networks call an ``AttentionSlot``, and tiles
    are made where ``encode`` and ``decode`` call ``tiled``.

    Attributes:
        checkpoint: that it was loaded from.
        networks: by part, in the order of their use; the one that is evaluated at every step is ``denoiser``, ``unet``
            or ``transformer``.
        report: on the checkpoint's tensors.

    Class attributes:
        rows_of_timesteps: ``predict`` takes a timestep for each row.
        rows_of_lora_weights: LoRAs may have other weights in each row, see ``VariesLoras``. A model sets its own to
            False where its denoiser repeats or mixes rows, so that a layer's are not those of ``predict``.
    """

    rows_of_timesteps: ClassVar[bool] = False
    rows_of_lora_weights: bool = False

    def __init__(self, checkpoint: _Opened, networks: Mapping[str, nn.Module], report: LoadReport) -> None:
        self.checkpoint, self.networks, self.report = checkpoint, networks, report
        self._preview: LinearPreview | None = None
        self._loras: Loras | None = None
        self._tile: int | None = None
        self._slicing = False
        self.denoiser: Any = next(networks[part] for part in DENOISERS if part in networks)

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
        """How ``tiled`` cuts, until the end of the context."""
        return self._tiles_of(side, slicing)

    @contextmanager
    def _tiles_of(self, side: int | None, slicing: bool) -> Iterator[None]:
        before = self._tile, self._slicing
        self._tile, self._slicing = side, slicing
        try:
            yield
        finally:
            self._tile, self._slicing = before

    def tiled(self, network: Callable[[Tensor], Tensor], x: Tensor, *, pixels: int = 1) -> Tensor:
        """What an autoencoder's network makes of pictures or latents, in tiles where ``set_tiling`` says so.

        Args:
            network: of (batch, channels, height, width).
            x: what it is given.
            pixels: along a side of one position of x: 1 for pictures.

        Raises:
            OptionError: tiles of that side hold no whole number of positions.
        """
        if self._slicing and len(x) > 1:
            return torch.cat([self._in_tiles(network, picture, pixels) for picture in torch.split(x, 1)])
        return self._in_tiles(network, x, pixels)

    def _in_tiles(self, network: Callable[[Tensor], Tensor], x: Tensor, pixels: int) -> Tensor:
        if self._tile is None:
            return network(x)
        if self._tile < pixels or self._tile % pixels:
            raise OptionError(
                f"Tiles of {self._tile} pixels are not possible with this model.",
                remedy=f"Use a multiple of {pixels} pixels.",
                field="vae_tiling",
            )
        return in_tiles(network, x, self._tile // pixels)

    def set_loras(self, loras: Sequence[LoraRequest], mode: LoraMode = "unmerged") -> AbstractContextManager[None]:
        """Changes linear layers and convolutions by LoRAs in PEFT's layout or diffusers'."""
        if self._loras is None:
            if not loras:
                return nullcontext()
            self._loras = Loras(self.networks)
        return self._loras.set(loras, mode)

    def weighing(self, weights: Sequence[Sequence[float]]) -> AbstractContextManager[None]:
        """Sets the weights of the LoRAs whose weights change, for this thread."""
        return nullcontext() if self._loras is None else self._loras.weighing(weights)
