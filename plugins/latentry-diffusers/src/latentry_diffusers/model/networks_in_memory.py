"""The base of all models whose networks come from diffusers and transformers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from latentry import LoraMode, LoraRequest
from latentry.attention import AttentionBackend
from latentry.models import AttentionChange, BaseModel, LoadReport, PromptSettings
from latentry_diffusers.attention import AttentionBlocks, Processors, Routing, Slot, cross_layers, shown_to
from latentry_diffusers.layouts import Pair
from latentry_diffusers.loading.first_weight import FirstWeight
from latentry_diffusers.model.autoencoder import Autoencoder, PictureCoder
from latentry_diffusers.model.checkpoint import BundledCheckpoint
from latentry_diffusers.text.embeddings import read_embeddings

if TYPE_CHECKING:
    from latentry_diffusers.lora import Adapters


class NetworksInMemory(BaseModel):
    """The networks of one checkpoint; see ``latentry.models.Model`` for what each method takes and gives.

    A family adds ``encode_prompt``, ``predict`` and ``inpainting``.

    Attributes:
        checkpoint: the checkpoint that it was loaded from.
        networks: text encoders, the denoiser, and diffusers' ``AutoencoderKL`` as ``vae``.
        denoiser: the network that is evaluated at every step.
        autoencoder: encodes and decodes through ``vae``.
        report: how each of the checkpoint's tensors was used.
    """

    checkpoint: BundledCheckpoint

    def __init__(
        self,
        checkpoint: BundledCheckpoint,
        networks: Mapping[str, Any],
        report: LoadReport,
        pairs: Callable[[], Sequence[Pair]],
        processors: Processors = MappingProxyType({}),
        autoencoder: PictureCoder | None = None,
        slots: Iterable[Slot] = (),
    ) -> None:
        """``pairs`` makes the table of the denoiser's original layout, in which LoRAs may name its layers;
        ``processors`` serve attention in layers that only this family's networks have; ``autoencoder`` is the one on
        ``vae``, where its latents are not as its configuration says; ``slots`` is attention of the networks that is in
        no layer with a processor.
        """
        super().__init__(checkpoint, networks, report)
        text = [network for part, network in networks.items() if part.startswith("text_encoder")]
        others = {part: network for part, network in networks.items() if not part.startswith("text_encoder")}
        self._weight = FirstWeight(self.denoiser)
        self.autoencoder: PictureCoder = autoencoder or Autoencoder(networks["vae"])
        self._attention = Routing(others, text, processors, slots)
        self._pairs = pairs
        self._adapters: Adapters | None = None

    def attention_options(
        self, change: AttentionChange | None, size: tuple[int, int], injected: Mapping[str, Tensor] | None = None
    ) -> dict[str, Any] | None:
        """What the denoiser's layers are given for one evaluation; None where attention is not changed.

        Args:
            change: a change of the picture's self-attention.
            size: rows and columns of the picture, in tokens of the finest level.
            injected: tensors of conditioners; those at ``cross`` are pictures that are attended to beside the text.
        """
        options: dict[str, Any] = {}
        if change is not None:
            options["changes"] = self._attention_blocks.changes(change, size)
        if injected and (shown := shown_to(self._cross_layers, injected, size)) is not None:
            options["shown"] = shown
        return options or None

    def learnt(self, settings: PromptSettings, part: str) -> Mapping[str, Tensor]:
        """The learnt words of a prompt for one of the CLIP text encoders, as ``encode_clip`` takes them."""
        return read_embeddings(settings.embeddings, self.checkpoint.bundle, part)

    @cached_property
    def _cross_layers(self) -> Sequence[Any]:
        return cross_layers(self.denoiser)

    @cached_property
    def _attention_blocks(self) -> AttentionBlocks:
        return AttentionBlocks(self.denoiser)

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self._weight.device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype the networks run in; the autoencoder runs in float32 where it would overflow in float16."""
        return self._weight.dtype

    def encode(self, pixels: Tensor, noise: Tensor | None = None) -> Tensor:
        """Latents (batch, channels, h, w), float32, of about unit variance, of pictures in −1..1."""
        return self.autoencoder.encode(pixels, noise)

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures (batch, 3, height, width) in −1..1, float32, of latents."""
        return self.autoencoder.decode(latents)

    def set_attention(
        self, backend: AttentionBackend | str | None, *, role: str | None = None
    ) -> AbstractContextManager[None]:
        """Serves attention through a backend; roles are ``vae``, ``text``, ``self``, ``cross`` and ``joint``."""
        return self._attention.set(backend, role)

    def set_loras(self, loras: Sequence[LoraRequest], mode: LoraMode = "unmerged") -> AbstractContextManager[None]:
        """Changes text encoders and denoiser by LoRAs."""
        if self._adapters is None:
            if not loras:
                return nullcontext()
            from latentry_diffusers.lora import Adapters

            self._adapters = Adapters(self.networks, self._pairs)
        return self._adapters.set(loras, mode)

    def weighing(self, weights: Sequence[Sequence[float]]) -> AbstractContextManager[None]:
        """Sets the weights of the LoRAs that have them at each evaluation, by row, for this thread."""
        return nullcontext() if self._adapters is None else self._adapters.weighing(weights)

    def set_tiling(self, side: int | None, *, slicing: bool = False) -> AbstractContextManager[None]:
        """Sets how pictures go through the autoencoder for a ``with`` block."""
        return self.autoencoder.tiled(side, slicing=slicing)
