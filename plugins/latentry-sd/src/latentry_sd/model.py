"""Stable Diffusion in memory."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from latentry import AttentionBackend, Conditioning, LoadReport, Prediction, Process
from latentry_diffusers.attention import Routing

if TYPE_CHECKING:
    from latentry_sd.checkpoint import Parts, StableDiffusionCheckpoint

log = logging.getLogger("latentry.sd")


class StableDiffusion:
    """The networks of one checkpoint; see ``latentry.Model`` for what each method takes and gives.

    Attributes:
        checkpoint: what it was loaded from.
        unet: diffusers' ``UNet2DConditionModel``.
        vae: diffusers' ``AutoencoderKL``.
        text_encoder: transformers' ``CLIPTextModel``.
        tokenizer: transformers' ``CLIPTokenizer``.
        report: what became of the checkpoint's tensors.
    """

    def __init__(self, checkpoint: StableDiffusionCheckpoint, parts: Parts) -> None:
        self.checkpoint = checkpoint
        self.unet, self.vae = parts.unet, parts.vae
        self.text_encoder, self.tokenizer = parts.text_encoder, parts.tokenizer
        self.report: LoadReport = parts.report
        self._attention = Routing({"unet": self.unet, "vae": self.vae})

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
    def encode_prompt(self, prompts: Sequence[str]) -> Conditioning:
        """CLIP's last hidden states (batch, tokens, width) as ``text``; what is too long is cut off, with a warning."""
        most = min(self.tokenizer.model_max_length, self.text_encoder.config.max_position_embeddings)
        tokens = self.tokenizer(
            list(prompts), padding="max_length", max_length=most, truncation=True, return_tensors="pt"
        )
        for prompt in dict.fromkeys(prompts):
            length = len(self.tokenizer(prompt).input_ids)
            if length > most:
                log.warning("the prompt has %d tokens; all after the first %d are ignored: %r", length, most, prompt)
        mask = tokens.attention_mask if getattr(self.text_encoder.config, "use_attention_mask", False) else None
        states = self.text_encoder(
            tokens.input_ids.to(self.device), attention_mask=None if mask is None else mask.to(self.device)
        )
        return Conditioning({"text": states.last_hidden_state.to(self.dtype)})

    @torch.no_grad()
    def predict(self, x: Tensor, timestep: float, conditioning: Conditioning) -> Tensor:
        """The UNet's output."""
        times = torch.full((x.shape[0],), timestep, device=x.device)  # a fill: no copy from the host
        output: Tensor = self.unet(
            x.to(self.dtype), times, encoder_hidden_states=conditioning["text"], return_dict=False
        )[0]
        return output

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        """Latents in units of about one standard deviation."""
        posterior = self.vae.encode(pixels.to(self.device, self.dtype)).latent_dist
        latents: Tensor = posterior.mode().float() * self.vae.config.scaling_factor
        return latents

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Pictures in −1..1."""
        scaled = latents.to(self.device) / self.vae.config.scaling_factor
        pixels: Tensor = self.vae.decode(scaled.to(self.dtype), return_dict=False)[0]
        return pixels.float()

    def set_attention(
        self, backend: AttentionBackend | None, *, role: str | None = None
    ) -> AbstractContextManager[None]:
        """Roles are ``self``, ``cross`` and ``vae``; None is all of them."""
        return self._attention.set(backend, role)
