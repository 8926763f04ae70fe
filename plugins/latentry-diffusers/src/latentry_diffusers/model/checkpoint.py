"""The bases of all checkpoints whose networks come from diffusers and transformers, and of those with a transformer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from latentry.models import LoraMatch, NoiseSettings
from latentry_diffusers.bundle.open import Bundle
from latentry_diffusers.model.packing import PATCH
from latentry_diffusers.model.time_shift import flow_shift
from latentry_diffusers.recognise.metadata import stated_guidance


@dataclass(frozen=True)
class BundledCheckpoint(ABC):
    """A checkpoint whose configurations and headers have been read; see ``latentry.models.Checkpoint``.

    A family adds the picture sizes its networks draw, the time shift, and loading.

    Attributes:
        bundle: its parts.
        variant: the name of its variant.
        noise: the noise process that the scheduler's configuration gives.
    """

    bundle: Bundle
    variant: str
    noise: NoiseSettings

    @abstractmethod
    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """Channels, height and width of one latent for a picture size in pixels."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Height and width in pixels that it draws best."""

    @property
    def vae(self) -> Mapping[str, Any]:
        """Configuration of the autoencoder."""
        return self.bundle.config("vae")

    @property
    def factor(self) -> int:
        """Pixels along each side of one latent."""
        return int(2 ** (len(self.vae["block_out_channels"]) - 1))

    @property
    def layers(self) -> int:
        """How many layers skip-layer guidance may choose from: none, unless a family says otherwise."""
        return 0

    @property
    def own_guidance(self) -> float | None:
        """The guidance scale that the files say suits them; see ``latentry.models.StatesGuidance``."""
        denoiser = next(part for part in self.bundle.parts.values() if part.spec.role is None)
        return stated_guidance(denoiser.weights)

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the networks, in the order of their use."""
        return tuple(self.bundle.parts)

    def storing(self, weights: str) -> Self:
        """See ``latentry.models.StoresWeights``."""
        return replace(self, bundle=replace(self.bundle, weights=weights))

    def match_loras(self, paths: Sequence[Path]) -> tuple[LoraMatch, ...]:
        """What LoRAs would do to the model, by file; see ``latentry.models.Checkpoint``."""
        from latentry_diffusers.lora import match_loras

        return match_loras(self.bundle, paths)

    def check_embeddings(self, paths: Sequence[Path]) -> tuple[str, ...]:
        """Checks textual inversions for CLIP; see ``latentry.models.TakesEmbeddings``."""
        from latentry_diffusers.text.embeddings import check_embeddings

        return check_embeddings(self.bundle, paths)


@dataclass(frozen=True)
class TransformerCheckpoint(BundledCheckpoint):
    """A checkpoint with a transformer over tokens of 2 × 2 latents; the time shift may depend on their number."""

    @property
    def transformer(self) -> Mapping[str, Any]:
        """Configuration of the transformer."""
        return self.bundle.config("transformer")

    @property
    def size(self) -> int:
        """Height and width in pixels of the training pictures."""
        return int(self.vae["sample_size"])

    @property
    def patch(self) -> int:
        """Pixels along each side of one token."""
        return PATCH * self.factor

    def tokens(self, width: int, height: int) -> int:
        """How many tokens a picture has, for its size in pixels."""
        return (width // self.patch) * (height // self.patch)

    def shift(self, width: int, height: int) -> float:
        """The time shift that the scheduler's configuration gives a picture of that size."""
        return flow_shift(self.bundle.scheduler, self.tokens(width, height))
