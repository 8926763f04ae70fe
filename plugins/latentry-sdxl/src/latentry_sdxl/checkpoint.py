"""Opens a Stable Diffusion XL folder: configurations first, weights on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentry import LoadReport, ModelFiles, NoiseSettings, variance_preserving_settings
from latentry_diffusers.configs import check_agreement, read_config, read_json
from latentry_diffusers.folder import Text, load_networks, load_text
from latentry_diffusers.unet import latent_shape, trained_size

if TYPE_CHECKING:
    import torch

    from latentry_sdxl.model import StableDiffusionXL

UNET = {
    "sample_size": int,
    "in_channels": int,
    "block_out_channels": list,
    "cross_attention_dim": int,
    "addition_time_embed_dim": int,
    "projection_class_embeddings_input_dim": int,
}
VAE = {"block_out_channels": list, "latent_channels": int}
TEXT = {"hidden_size": int, "projection_dim": int}


@dataclass(frozen=True)
class StableDiffusionXLCheckpoint:
    """A folder in the diffusers layout whose configurations have been read.

    Attributes:
        path: the folder.
        variant: which checkpoint type it is.
        noise: from ``scheduler/scheduler_config.json``.
        unet: configuration of the UNet.
        vae: configuration of the autoencoder.
        encoders: configurations of the text encoders by part, in the order in which their states are joined.
        zeros: an empty negative prompt is all zeros instead of what the encoders make of it.
    """

    path: Path
    variant: str
    noise: NoiseSettings
    unet: Mapping[str, Any]
    vae: Mapping[str, Any]
    encoders: Mapping[str, Mapping[str, Any]]
    zeros: bool

    @property
    def size(self) -> int:
        """Height and width in pixels of the training pictures."""
        return trained_size(self.unet, self.vae)

    @property
    def layers(self) -> int:
        """None that could be skipped."""
        return 0

    @property
    def time_ids(self) -> int:
        """Numbers the UNet is told beside the prompt: 6 are three pairs, 5 are two and an aesthetic score."""
        pooled = self.encoders["text_encoder_2"]["projection_dim"]
        extra, width = self.unet["projection_class_embeddings_input_dim"] - pooled, self.unet["addition_time_embed_dim"]
        return int(extra // width) if extra % width == 0 else 0

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """See ``latentry.Checkpoint``."""
        return latent_shape(self.unet, self.vae, width, height)

    def shift(self, width: int, height: int) -> float | None:
        """No opinion."""
        return None

    def load(self, device: torch.device, dtype: torch.dtype) -> StableDiffusionXL:
        """See ``latentry.Checkpoint``."""
        from latentry_sdxl.model import StableDiffusionXL

        return StableDiffusionXL(self, load_parts(self, device, dtype))


def open_checkpoint(files: ModelFiles, variant: str) -> StableDiffusionXLCheckpoint:
    """Reads the configurations of a Stable Diffusion XL folder.

    Raises:
        ModelError: one is missing, cannot be understood, or they do not belong together.
    """
    path = files.path
    parts = ("text_encoder_2",) if variant == "refiner" else ("text_encoder", "text_encoder_2")
    checkpoint = StableDiffusionXLCheckpoint(
        path,
        variant,
        variance_preserving_settings(read_config(path / "scheduler" / "scheduler_config.json")),
        read_config(path / "unet" / "config.json", UNET),
        read_config(path / "vae" / "config.json", VAE),
        {part: read_config(path / part / "config.json", TEXT) for part in parts},
        bool((read_json(path / "model_index.json") or {}).get("force_zeros_for_empty_prompt", True)),
    )
    latents = checkpoint.vae["latent_channels"]
    shown = 2 * latents + 1 if variant == "inpainting" else latents
    claims = {
        "the width of the UNet's cross-attention": (
            checkpoint.unet["cross_attention_dim"],
            "that of the text states",
            sum(config["hidden_size"] for config in checkpoint.encoders.values()),
        ),
        "the UNet's in_channels": (checkpoint.unet["in_channels"], f"what {variant} needs", shown),
        "the number of time ids": (checkpoint.time_ids, "what is known", 5 if checkpoint.time_ids == 5 else 6),
    }
    check_agreement(path, claims)
    return checkpoint


@dataclass(frozen=True)
class Parts:
    """The networks of a checkpoint, ready to run, and what became of its tensors.

    Attributes:
        unet: diffusers' ``UNet2DConditionModel``.
        vae: diffusers' ``AutoencoderKL``.
        text: text encoders and their tokenizers, in the order in which their states are joined.
        report: what became of the tensors.
    """

    unet: Any
    vae: Any
    text: tuple[Text, ...]
    report: LoadReport


def load_parts(checkpoint: StableDiffusionXLCheckpoint, device: torch.device, dtype: torch.dtype) -> Parts:
    """Loads the networks through diffusers and transformers.

    Raises:
        ModelError: a part is missing, damaged, or its tensors do not fit.
    """
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    from latentry_diffusers.autoencoder import upcast

    path = checkpoint.path
    loaders: dict[str, Callable[..., Any]] = {
        "unet": partial(UNet2DConditionModel.from_pretrained, torch_dtype=dtype),
        "vae": partial(AutoencoderKL.from_pretrained, torch_dtype=upcast(checkpoint.vae, dtype)),
        "text_encoder": partial(CLIPTextModel.from_pretrained, dtype=dtype),
        "text_encoder_2": partial(CLIPTextModelWithProjection.from_pretrained, dtype=dtype),
    }
    wanted = {"unet", "vae", *checkpoint.encoders}
    networks, report = load_networks(path, {part: loaders[part] for part in loaders if part in wanted}, device)
    text = tuple(load_text(path, part, networks, CLIPTokenizer.from_pretrained) for part in checkpoint.encoders)
    return Parts(networks["unet"], networks["vae"], text, report)
