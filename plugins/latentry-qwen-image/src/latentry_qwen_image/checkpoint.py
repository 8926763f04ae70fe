"""Opens a Qwen-Image checkpoint: first configurations and headers, weights on request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from latentry import ModelFiles, SigmaPreference
from latentry.models import NoiseSettings, flow_settings
from latentry_diffusers.bundle.open import open_bundle
from latentry_diffusers.files.configs import check_agreement
from latentry_diffusers.model.checkpoint import TransformerCheckpoint
from latentry_diffusers.model.packing import PATCH
from latentry_diffusers.model.picture_size import check_size
from latentry_qwen_image.parts import specs
from latentry_qwen_image.variants import SIZES, published

if TYPE_CHECKING:
    import torch

    from latentry_qwen_image.model import QwenImage

GRID = "latentry-qwen-image:stretched"


@dataclass(frozen=True)
class QwenImageCheckpoint(TransformerCheckpoint):
    """A Qwen-Image checkpoint whose configurations and headers have been read."""

    @property
    def size(self) -> int:
        """Height and width in pixels of the training pictures; no configuration says it."""
        return int(self.vae.get("sample_size", SIZES[self.variant]))

    @property
    def factor(self) -> int:
        """Pixels along each side of one latent."""
        return int(2 ** len(self.vae["temperal_downsample"]))

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """The shape of the latents; see ``latentry.models.Checkpoint``."""
        check_size(width, height, stride=self.patch, best=self.size)
        return (int(self.vae["z_dim"]), height // self.factor, width // self.factor)

    def load(
        self, device: torch.device, dtype: torch.dtype, dtypes: Mapping[str, torch.dtype] | None = None
    ) -> QwenImage:
        """Loads the networks; see ``latentry.models.Checkpoint``."""
        from latentry_diffusers.model.load_networks import load_networks
        from latentry_qwen_image.model import QwenImage

        return QwenImage(self, load_networks(self, device, dtype, dtypes))


def open_checkpoint(files: ModelFiles, variant: str) -> QwenImageCheckpoint:
    """Reads the configurations and headers of a Qwen-Image checkpoint.

    Raises:
        ModelError: a part is missing or damaged, a configuration cannot be understood, or they do not belong together.
    """
    bundle = open_bundle(files, specs(variant), published(variant))
    checkpoint = QwenImageCheckpoint(bundle, variant, _noise(bundle.scheduler))
    transformer, encoder = checkpoint.transformer, bundle.config("text_encoder")
    claims: dict[str, tuple[object, str, object]] = {
        "the transformer's in_channels": (
            transformer["in_channels"],
            "that of 2 × 2 latents of the autoencoder",
            PATCH**2 * checkpoint.vae["z_dim"],
        ),
        "the transformer's joint_attention_dim": (
            transformer["joint_attention_dim"],
            "the text encoder's hidden_size",
            encoder.get("text_config", encoder)["hidden_size"],
        ),
    }
    check_agreement(bundle.files.path, claims)
    return checkpoint


def _noise(scheduler: Mapping[str, Any]) -> NoiseSettings:
    """With the grid that ends where the configuration says, if it does."""
    noise, terminal = flow_settings(scheduler), scheduler.get("shift_terminal")
    return noise if not terminal else replace(noise, demand=SigmaPreference(GRID, (("terminal", float(terminal)),)))
