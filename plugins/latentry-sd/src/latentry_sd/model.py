"""Stable Diffusion in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from latentry import (
    AttentionBackend,
    Conditioning,
    LoadReport,
    LoraMode,
    LoraRequest,
    Prediction,
    Process,
    PromptSettings,
)
from latentry_diffusers.attention import Routing
from latentry_diffusers.autoencoder import Autoencoder
from latentry_diffusers.layouts.unet import unet_pairs
from latentry_diffusers.lora import Adapters
from latentry_diffusers.masking import mask_and_masked, with_mask
from latentry_diffusers.text import encode_clip

if TYPE_CHECKING:
    from latentry_sd.checkpoint import StableDiffusionCheckpoint
    from latentry_sd.parts import Parts


class StableDiffusion:
    """The networks of one checkpoint; see ``latentry.Model`` for what each method takes and gives.

    Attributes:
        checkpoint: what it was loaded from.
        unet: diffusers' ``UNet2DConditionModel``.
        vae: diffusers' ``AutoencoderKL``.
        text_encoder: transformers' ``CLIPTextModel``.
        tokenizer: transformers' ``CLIPTokenizer``.
        autoencoder: the way through ``vae``.
        report: what became of the checkpoint's tensors.
    """

    def __init__(self, checkpoint: StableDiffusionCheckpoint, parts: Parts) -> None:
        self.checkpoint = checkpoint
        self.unet, self.vae = parts.unet, parts.vae
        self.text_encoder, self.tokenizer = parts.text_encoder, parts.tokenizer
        self.autoencoder = Autoencoder(self.vae)
        self.report: LoadReport = parts.report
        self._attention = Routing({"unet": self.unet, "vae": self.vae}, text=[self.text_encoder])
        self._loras = Adapters(self.networks, lambda: unet_pairs(self.checkpoint.unet))

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """See ``latentry.Model``."""
        return {"text_encoder": self.text_encoder, "unet": self.unet, "vae": self.vae}

    @property
    def process(self) -> Process:
        """How noise was added in training."""
        return self.checkpoint.noise.process

    @property
    def prediction(self) -> Prediction:
        """What the UNet emits."""
        return self.checkpoint.noise.prediction

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        device: torch.device = self.unet.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """What the networks run in."""
        dtype: torch.dtype = self.unet.dtype
        return dtype

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """Channels, height and width of one latent."""
        return self.checkpoint.latent_shape(width, height)

    @torch.no_grad()
    def encode_prompt(self, prompts: Sequence[str], settings: PromptSettings) -> Conditioning:
        """CLIP's states (batch, tokens, width) after the final norm as ``text``; long prompts take several windows."""
        encoded = encode_clip(self.text_encoder, self.tokenizer, prompts, skip=settings.clip_skip)
        return Conditioning({"text": encoded.states.to(self.dtype)})

    @torch.no_grad()
    def predict(
        self, x: Tensor, timestep: float, conditioning: Conditioning, *, skip_layers: tuple[int, ...] = ()
    ) -> Tensor:
        """The UNet's output; the inpainting network is also shown the mask and the picture around it."""
        times = torch.full((x.shape[0],), timestep, device=x.device)  # a fill: no copy from the host
        shown = with_mask(x.to(self.dtype), conditioning)
        output: Tensor = self.unet(shown, times, encoder_hidden_states=conditioning["text"], return_dict=False)[0]
        return output

    def inpainting(self, pixels: Tensor, mask: Tensor) -> Mapping[str, Tensor]:
        """``mask`` and ``masked``, at the latents' size."""
        return mask_and_masked(self.autoencoder, pixels, mask)

    def encode(self, pixels: Tensor, noise: Tensor | None = None) -> Tensor:
        """Latents in units of about one standard deviation."""
        return self.autoencoder.encode(pixels, noise)

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures in −1..1."""
        return self.autoencoder.decode(latents)

    def set_attention(
        self, backend: AttentionBackend | str | None, *, role: str | None = None
    ) -> AbstractContextManager[None]:
        """Roles are ``self``, ``cross``, ``vae`` and ``text``; None is all of them."""
        return self._attention.set(backend, role)

    def set_loras(self, loras: Sequence[LoraRequest], mode: LoraMode = "unmerged") -> AbstractContextManager[None]:
        """LoRAs of the text encoders and of the UNet."""
        return self._loras.set(loras, mode)

    def set_tiling(self, side: int | None, *, slicing: bool = False) -> AbstractContextManager[None]:
        """How pictures go through the autoencoder."""
        return self.autoencoder.tiled(side, slicing=slicing)
