"""Opens a Stable Diffusion 3 folder: configurations first, weights on request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentry import ModelFiles, NoiseSettings, flow_settings
from latentry_diffusers.configs import check_agreement, read_config, read_json
from latentry_diffusers.flow import flow_shift
from latentry_diffusers.sizes import check_size
from latentry_diffusers.unet import pixels_per_latent
from latentry_sd3.detect import has_t5

if TYPE_CHECKING:
    import torch

    from latentry_sd3.model import StableDiffusion3

TRANSFORMER = {
    "sample_size": int,
    "patch_size": int,
    "in_channels": int,
    "num_layers": int,
    "joint_attention_dim": int,
    "pooled_projection_dim": int,
    "pos_embed_max_size": int,
}
VAE = {"block_out_channels": list, "latent_channels": int}
CLIP = {"hidden_size": int, "projection_dim": int}
T5 = {"d_model": int}
CLIPS = ("text_encoder", "text_encoder_2")


@dataclass(frozen=True)
class StableDiffusion3Checkpoint:
    """A folder in the diffusers layout whose configurations have been read.

    Attributes:
        path: the folder.
        variant: which checkpoint type it is.
        noise: from ``scheduler``.
        scheduler: configuration of the scheduler, which has the time shift.
        transformer: configuration of the transformer.
        vae: configuration of the autoencoder.
        t5: whether there is a third text encoder.
    """

    path: Path
    variant: str
    noise: NoiseSettings
    scheduler: Mapping[str, Any]
    transformer: Mapping[str, Any]
    vae: Mapping[str, Any]
    t5: bool

    @property
    def factor(self) -> int:
        """Pixels of one latent's side."""
        return pixels_per_latent(self.vae)

    @property
    def size(self) -> int:
        """Height and width in pixels of the training pictures."""
        return int(self.transformer["sample_size"]) * self.factor

    @property
    def layers(self) -> int:
        """Blocks that skip-layer guidance may choose from."""
        return int(self.transformer["num_layers"])

    @property
    def patch(self) -> int:
        """Pixels of one token's side."""
        return int(self.transformer["patch_size"]) * self.factor

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """See ``latentry.Checkpoint``; a side has as many tokens as there are learned positions, at most."""
        most = int(self.transformer["pos_embed_max_size"]) * self.patch
        check_size(width, height, stride=self.patch, best=self.size, most=most)
        return (int(self.transformer["in_channels"]), height // self.factor, width // self.factor)

    def shift(self, width: int, height: int) -> float:
        """See ``latentry.Checkpoint``; 3 in all published checkpoints, whatever the size."""
        return flow_shift(self.scheduler, (width // self.patch) * (height // self.patch))

    def load(self, device: torch.device, dtype: torch.dtype) -> StableDiffusion3:
        """See ``latentry.Checkpoint``."""
        from latentry_sd3.model import StableDiffusion3
        from latentry_sd3.parts import load_parts

        return StableDiffusion3(self, load_parts(self, device, dtype))


def open_checkpoint(files: ModelFiles, variant: str) -> StableDiffusion3Checkpoint:
    """Reads the configurations of a Stable Diffusion 3 folder.

    Raises:
        ModelError: one is missing, cannot be understood, or they do not belong together.
    """
    path = files.path
    scheduler = read_config(path / "scheduler" / "scheduler_config.json")
    checkpoint = StableDiffusion3Checkpoint(
        path,
        variant,
        flow_settings(scheduler),
        scheduler,
        read_config(path / "transformer" / "config.json", TRANSFORMER),
        read_config(path / "vae" / "config.json", VAE),
        has_t5(read_json(path / "model_index.json") or {}),
    )
    _check(checkpoint)
    return checkpoint


def _check(checkpoint: StableDiffusion3Checkpoint) -> None:
    path, transformer = checkpoint.path, checkpoint.transformer
    clips = [read_config(path / part / "config.json", CLIP) for part in CLIPS]
    claims: dict[str, tuple[object, str, object]] = {
        "the transformer's in_channels": (
            transformer["in_channels"],
            "the autoencoder's latent_channels",
            checkpoint.vae["latent_channels"],
        ),
        "the transformer's pooled_projection_dim": (
            transformer["pooled_projection_dim"],
            "the sum of both CLIPs' projection_dim",
            sum(config["projection_dim"] for config in clips),
        ),
    }
    width, joint = transformer["joint_attention_dim"], sum(config["hidden_size"] for config in clips)
    if checkpoint.t5:
        own = read_config(path / "text_encoder_3" / "config.json", T5)["d_model"]
        claims["the transformer's joint_attention_dim"] = (width, "T5's d_model", own)
    if joint > width:
        claims["the sum of both CLIPs' hidden_size"] = (joint, "the most that the transformer takes", width)
    check_agreement(path, claims)
