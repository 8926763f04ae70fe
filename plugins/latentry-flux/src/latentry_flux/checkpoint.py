"""Opens a FLUX.1 folder: configurations first, weights on request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentry import ModelFiles, NoiseSettings, flow_settings
from latentry_diffusers.configs import check_agreement, read_config
from latentry_diffusers.flow import flow_shift
from latentry_diffusers.sizes import check_size
from latentry_diffusers.unet import pixels_per_latent

if TYPE_CHECKING:
    import torch

    from latentry_flux.model import Flux

TRANSFORMER = {
    "in_channels": int,
    "attention_head_dim": int,
    "joint_attention_dim": int,
    "pooled_projection_dim": int,
    "guidance_embeds": bool,
}
VAE = {"block_out_channels": list, "latent_channels": int, "sample_size": int}
PATCH = 2
"""Latents of one token's side."""


@dataclass(frozen=True)
class FluxCheckpoint:
    """A folder in the diffusers layout whose configurations have been read.

    Attributes:
        path: the folder.
        variant: which checkpoint type it is.
        noise: from ``scheduler``.
        scheduler: configuration of the scheduler, which has the time shift.
        transformer: configuration of the transformer.
        vae: configuration of the autoencoder.
    """

    path: Path
    variant: str
    noise: NoiseSettings
    scheduler: Mapping[str, Any]
    transformer: Mapping[str, Any]
    vae: Mapping[str, Any]

    @property
    def factor(self) -> int:
        """Pixels of one latent's side."""
        return pixels_per_latent(self.vae)

    @property
    def size(self) -> int:
        """Height and width in pixels of the training pictures."""
        return int(self.vae["sample_size"])

    @property
    def layers(self) -> int:
        """None that could be skipped."""
        return 0

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """See ``latentry.Checkpoint``."""
        check_size(width, height, stride=PATCH * self.factor, best=self.size)
        return (int(self.vae["latent_channels"]), height // self.factor, width // self.factor)

    def shift(self, width: int, height: int) -> float:
        """See ``latentry.Checkpoint``; dev's and Fill's grows with the picture, schnell's is 1."""
        side = PATCH * self.factor
        return flow_shift(self.scheduler, (width // side) * (height // side))

    def load(self, device: torch.device, dtype: torch.dtype) -> Flux:
        """See ``latentry.Checkpoint``."""
        from latentry_flux.model import Flux
        from latentry_flux.parts import load_parts

        return Flux(self, load_parts(self, device, dtype))


def open_checkpoint(files: ModelFiles, variant: str) -> FluxCheckpoint:
    """Reads the configurations of a FLUX.1 folder.

    Raises:
        ModelError: one is missing, cannot be understood, or they do not belong together.
    """
    path = files.path
    scheduler = read_config(path / "scheduler" / "scheduler_config.json")
    checkpoint = FluxCheckpoint(
        path,
        variant,
        flow_settings(scheduler),
        scheduler,
        read_config(path / "transformer" / "config.json", TRANSFORMER),
        read_config(path / "vae" / "config.json", VAE),
    )
    _check(checkpoint)
    return checkpoint


def _check(checkpoint: FluxCheckpoint) -> None:
    path, transformer, variant = checkpoint.path, checkpoint.transformer, checkpoint.variant
    pooled = read_config(path / "text_encoder" / "config.json", {"hidden_size": int})["hidden_size"]
    width = read_config(path / "text_encoder_2" / "config.json", {"d_model": int})["d_model"]
    latents = checkpoint.vae["latent_channels"]
    shown = 2 * latents + checkpoint.factor**2 if variant == "fill" else latents
    claims: dict[str, tuple[object, str, object]] = {
        "the transformer's in_channels": (transformer["in_channels"], f"what {variant} needs", PATCH**2 * shown),
        "the transformer's guidance_embeds": (transformer["guidance_embeds"], f"{variant}'s", variant != "schnell"),
        "the transformer's joint_attention_dim": (transformer["joint_attention_dim"], "T5's d_model", width),
        "the transformer's pooled_projection_dim": (
            transformer["pooled_projection_dim"],
            "CLIP's hidden_size",
            pooled,
        ),
    }
    check_agreement(path, claims)
