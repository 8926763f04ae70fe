"""What checkpoints of all families whose networks come from diffusers and transformers have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentry.models import LoraMatch, NoiseSettings
from latentry_diffusers.bundle.open import Bundle


@dataclass(frozen=True)
class BundledCheckpoint:
    """A checkpoint whose configurations and headers have been read.

    Attributes:
        bundle: its parts.
        variant: which checkpoint type it is.
        noise: from the configuration of the scheduler.
    """

    bundle: Bundle
    variant: str
    noise: NoiseSettings

    @property
    def vae(self) -> Mapping[str, Any]:
        """Configuration of the autoencoder."""
        return self.bundle.config("vae")

    @property
    def factor(self) -> int:
        """Pixels of one latent's side."""
        return int(2 ** (len(self.vae["block_out_channels"]) - 1))

    @property
    def layers(self) -> int:
        """None that could be skipped."""
        return 0

    @property
    def parts(self) -> tuple[str, ...]:
        """The networks, in the order of their use."""
        return tuple(self.bundle.parts)

    def match_loras(self, paths: Sequence[Path]) -> tuple[LoraMatch, ...]:
        """See ``latentry.models.Checkpoint``."""
        from latentry_diffusers.lora import match_loras

        return match_loras(self.bundle, paths)
