"""Opens a Stable Diffusion folder: configurations first, weights on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentry import LoadReport, ModelFiles, NoiseSettings, variance_preserving_settings
from latentry_diffusers.configs import check_agreement, read_config
from latentry_diffusers.folder import check_vocabulary, load_networks, load_tokenizer
from latentry_diffusers.unet import latent_shape, trained_size

if TYPE_CHECKING:
    import torch

    from latentry_sd.model import StableDiffusion

UNET = {"sample_size": int, "in_channels": int, "block_out_channels": list, "cross_attention_dim": int}
VAE = {"block_out_channels": list, "latent_channels": int}
TEXT = {"hidden_size": int}


@dataclass(frozen=True)
class StableDiffusionCheckpoint:
    """A folder in the diffusers layout whose configurations have been read.

    Attributes:
        path: the folder.
        variant: which checkpoint type it is.
        noise: from ``scheduler/scheduler_config.json``.
        unet: configuration of the UNet.
        vae: configuration of the autoencoder.
    """

    path: Path
    variant: str
    noise: NoiseSettings
    unet: Mapping[str, Any]
    vae: Mapping[str, Any]

    @property
    def size(self) -> int:
        """Height and width in pixels of the training pictures."""
        return trained_size(self.unet, self.vae)

    @property
    def layers(self) -> int:
        """None that could be skipped."""
        return 0

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """See ``latentry.Checkpoint``."""
        return latent_shape(self.unet, self.vae, width, height)

    def shift(self, width: int, height: int) -> float | None:
        """No opinion."""
        return None

    def load(self, device: torch.device, dtype: torch.dtype) -> StableDiffusion:
        """See ``latentry.Checkpoint``."""
        from latentry_sd.model import StableDiffusion

        return StableDiffusion(self, load_parts(self.path, device, dtype))


def open_checkpoint(files: ModelFiles, variant: str) -> StableDiffusionCheckpoint:
    """Reads the configurations of a Stable Diffusion folder.

    Raises:
        ModelError: one is missing, cannot be understood, or they do not belong together.
    """
    path = files.path
    checkpoint = StableDiffusionCheckpoint(
        path,
        variant,
        variance_preserving_settings(read_config(path / "scheduler" / "scheduler_config.json")),
        read_config(path / "unet" / "config.json", UNET),
        read_config(path / "vae" / "config.json", VAE),
    )
    text = read_config(path / "text_encoder" / "config.json", TEXT)
    latents = checkpoint.vae["latent_channels"]
    shown = 2 * latents + 1 if variant.endswith("inpainting") else latents
    claims = {
        "the width of the UNet's cross-attention": (
            checkpoint.unet["cross_attention_dim"],
            "that of the text states",
            text["hidden_size"],
        ),
        "the UNet's in_channels": (checkpoint.unet["in_channels"], f"what {variant} needs", shown),
    }
    check_agreement(path, claims)
    return checkpoint


@dataclass(frozen=True)
class Parts:
    """The networks of a checkpoint, ready to run, and what became of its tensors."""

    unet: Any
    vae: Any
    text_encoder: Any
    tokenizer: Any
    report: LoadReport


def load_parts(path: Path, device: torch.device, dtype: torch.dtype) -> Parts:
    """Loads the networks through diffusers and transformers.

    Raises:
        ModelError: a part is missing, damaged, or its tensors do not fit.
    """
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    loaders: dict[str, Callable[..., Any]] = {
        "unet": partial(UNet2DConditionModel.from_pretrained, torch_dtype=dtype),
        "vae": partial(AutoencoderKL.from_pretrained, torch_dtype=dtype),
        "text_encoder": partial(CLIPTextModel.from_pretrained, dtype=dtype),
    }
    networks, report = load_networks(path, loaders, device)
    tokenizer = load_tokenizer(path / "tokenizer", CLIPTokenizer.from_pretrained)
    check_vocabulary(path, tokenizer, networks["text_encoder"].config.vocab_size)
    return Parts(**networks, tokenizer=tokenizer, report=report)
