"""Stable Diffusion in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from latentry.models import AttentionChange, CachedPass, Conditioning, PromptSettings, timestep_rows
from latentry_diffusers.conditioning.injection import unet_options
from latentry_diffusers.layouts.unet import unet_pairs
from latentry_diffusers.model.masking import mask_and_masked, with_mask
from latentry_diffusers.model.networks_in_memory import NetworksInMemory
from latentry_diffusers.model.step_cache import UNetCache
from latentry_diffusers.text.clip import encode_clip
from latentry_diffusers.text.clip_skip import clip_skip_of

if TYPE_CHECKING:
    from latentry_diffusers.model.unet_checkpoint import UNetCheckpoint
    from latentry_sd.parts import Parts


class StableDiffusion(NetworksInMemory):
    """The networks of one checkpoint; ``latentry.models.Model`` says what each method takes and returns.

    Attributes:
        checkpoint: the checkpoint that they were loaded from.
        unet: diffusers' ``UNet2DConditionModel``.
        vae: diffusers' ``AutoencoderKL``.
        text_encoder: transformers' ``CLIPTextModel``.
        tokenizer: transformers' ``CLIPTokenizer``.
    """

    checkpoint: UNetCheckpoint
    rows_of_timesteps = True
    rows_of_lora_weights = True

    def __init__(self, checkpoint: UNetCheckpoint, parts: Parts) -> None:
        self.unet, self.vae = parts.unet, parts.vae
        self.text_encoder, self.tokenizer = parts.text_encoder, parts.tokenizer
        networks = {"text_encoder": self.text_encoder, "unet": self.unet, "vae": self.vae}
        super().__init__(checkpoint, networks, parts.report, lambda: unet_pairs(checkpoint.unet))
        self.step_cache = UNetCache(self.unet)

    @torch.no_grad()
    def encode_prompt(self, prompts: Sequence[str], settings: PromptSettings) -> Conditioning:
        """CLIP's states (batch, tokens, width) after the final norm as ``text``; long prompts take several windows."""
        encoded = encode_clip(
            self.text_encoder,
            self.tokenizer,
            prompts,
            skip=clip_skip_of(settings),
            learnt=self.learnt(settings, "text_encoder"),
        )
        return Conditioning({"text": encoded.states.to(self.dtype)})

    @torch.no_grad()
    def predict(
        self,
        x: Tensor,
        timestep: float | Tensor,
        conditioning: Conditioning,
        *,
        skip_layers: tuple[int, ...] = (),
        attention: AttentionChange | None = None,
        injected: Mapping[str, Tensor] | None = None,
        cache: CachedPass | None = None,
    ) -> Tensor:
        """The UNet's output; the inpainting network also takes the mask and the picture around it."""
        inputs = with_mask(x.to(self.dtype), conditioning)
        output: Tensor
        with self.step_cache.serving(cache, len(x)):
            output = self.unet(
                inputs,
                timestep_rows(timestep, x),
                encoder_hidden_states=conditioning["text"],
                cross_attention_kwargs=self.attention_options(attention, (x.shape[-2], x.shape[-1]), injected),
                return_dict=False,
                **unet_options(self.unet, injected, x),
            )[0]
        return output

    def inpainting(self, pixels: Tensor, mask: Tensor) -> Mapping[str, Tensor]:
        """``mask`` and ``masked``, at the latents' size."""
        return mask_and_masked(self.autoencoder, pixels, mask)
