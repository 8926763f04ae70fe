"""Opens a Stable Diffusion 3 checkpoint: first configurations and headers, weights on request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from latentry import ModelFiles
from latentry.models import flow_settings
from latentry_diffusers.bundle.open import open_bundle
from latentry_diffusers.files.configs import check_agreement
from latentry_diffusers.model.checkpoint import TransformerCheckpoint
from latentry_diffusers.model.picture_size import check_size
from latentry_diffusers.text.clip_skip import check_clip_skip
from latentry_sd3.parts import CLIPS, THIRD, load_parts, specs
from latentry_sd3.variants import published

if TYPE_CHECKING:
    import torch
    from pydantic import BaseModel

    from latentry_sd3.model import StableDiffusion3


@dataclass(frozen=True)
class StableDiffusion3Checkpoint(TransformerCheckpoint):
    """A Stable Diffusion 3 checkpoint whose configurations and headers have been read."""

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
        """Pixels along each side of one token."""
        return int(self.transformer["patch_size"]) * self.factor

    @property
    def attention_blocks(self) -> int:
        """How many blocks there are; see ``latentry.models.ChangesAttention``."""
        return int(self.transformer["num_layers"])

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """The shape of the latents; a side has at most as many tokens as there are learned positions."""
        most = int(self.transformer["pos_embed_max_size"]) * self.patch
        check_size(width, height, stride=self.patch, best=self.size, most=most)
        return (int(self.transformer["in_channels"]), height // self.factor, width // self.factor)

    def check_conditioning(self, options: BaseModel) -> None:
        """Checks the conditioning's options; see ``latentry.models.ChecksConditioning``."""
        check_clip_skip(options, [self.bundle.config(part) for part in CLIPS], usual=1)

    def load(
        self, device: torch.device, dtype: torch.dtype, dtypes: Mapping[str, torch.dtype] | None = None
    ) -> StableDiffusion3:
        """Loads the networks; see ``latentry.models.Checkpoint``."""
        from latentry_diffusers.loading.dtypes import part_dtypes
        from latentry_sd3.model import StableDiffusion3

        return StableDiffusion3(
            self, load_parts(self.bundle, device, part_dtypes(self.parts, dtype, dtypes, vae=self.vae))
        )


def open_checkpoint(files: ModelFiles, variant: str) -> StableDiffusion3Checkpoint:
    """Reads the configurations and headers of a Stable Diffusion 3 checkpoint.

    Raises:
        ModelError: a part is missing or damaged, a configuration cannot be understood, or they do not belong together.
    """
    bundle = open_bundle(files, specs(), published(variant))
    checkpoint = StableDiffusion3Checkpoint(
        bundle,
        variant,
        flow_settings(bundle.scheduler),
    )
    _check(checkpoint)
    return checkpoint


def _check(checkpoint: StableDiffusion3Checkpoint) -> None:
    bundle, transformer = checkpoint.bundle, checkpoint.transformer
    clips = [bundle.config(part) for part in CLIPS]
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
    if THIRD in bundle.parts:
        claims["the transformer's joint_attention_dim"] = (width, "T5's d_model", bundle.config(THIRD)["d_model"])
    if joint > width:
        claims["the sum of both CLIPs' hidden_size"] = (joint, "the most that the transformer takes", width)
    check_agreement(bundle.files.path, claims)
