"""Opens a Stable Diffusion folder: configurations first, weights on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentry import LoadReport, NoiseSettings, OptionError, variance_preserving_settings
from latentry_diffusers.configs import read_config
from latentry_diffusers.folder import check_vocabulary, load_networks, load_tokenizer

if TYPE_CHECKING:
    import torch

    from latentry_sd.model import StableDiffusion

UNET = {"sample_size": int, "in_channels": int, "block_out_channels": list}
VAE = {"block_out_channels": list}


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
    def factor(self) -> int:
        """Pixels of one latent's side."""
        return int(2 ** (len(self.vae["block_out_channels"]) - 1))

    @property
    def size(self) -> int:
        """Height and width in pixels of the training pictures."""
        return int(self.unet["sample_size"]) * self.factor

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """See ``latentry.Checkpoint``; sides are multiples of 8, as in every Stable Diffusion."""
        stride = max(8, self.factor)
        least = self.factor * 2 ** (len(self.unet["block_out_channels"]) - 1)
        if width % stride or height % stride or min(width, height) < least:
            near = [max(least, round(side / stride) * stride) for side in (width, height)]
            raise OptionError(
                f"This model cannot draw {width}×{height} pixels.",
                why=f"Width and height must be multiples of {stride}, {least} at least.",
                remedy=f"Use --width {near[0]} --height {near[1]}; it draws best at {self.size}×{self.size}.",
            )
        return (int(self.unet["in_channels"]), height // self.factor, width // self.factor)

    def load(self, device: torch.device, dtype: torch.dtype) -> StableDiffusion:
        """See ``latentry.Checkpoint``."""
        from latentry_sd.model import StableDiffusion

        return StableDiffusion(self, load_parts(self.path, device, dtype))


def open_checkpoint(path: Path, variant: str) -> StableDiffusionCheckpoint:
    """Reads the configurations of a Stable Diffusion folder.

    Raises:
        ModelError: one is missing or cannot be understood.
    """
    noise = variance_preserving_settings(read_config(path / "scheduler" / "scheduler_config.json"))
    unet = read_config(path / "unet" / "config.json", UNET)
    vae = read_config(path / "vae" / "config.json", VAE)
    return StableDiffusionCheckpoint(path, variant, noise, unet, vae)


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
