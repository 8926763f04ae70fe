"""Stable Diffusion XL in memory."""

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
from latentry_sdxl.micro import MicroConditioning

if TYPE_CHECKING:
    from latentry_diffusers.model.unet_checkpoint import UNetCheckpoint
    from latentry_sdxl.parts import Parts


class StableDiffusionXL(NetworksInMemory):
    """The networks of one checkpoint; ``latentry.models.Model`` says what each method takes and returns.

    Attributes:
        checkpoint: the checkpoint that they were loaded from.
        unet: diffusers' ``UNet2DConditionModel``.
        vae: diffusers' ``AutoencoderKL``.
        text: text encoders and their tokenizers, in the order in which their states are joined.
    """

    checkpoint: UNetCheckpoint
    rows_of_timesteps = True
    rows_of_lora_weights = True

    def __init__(self, checkpoint: UNetCheckpoint, parts: Parts, *, time_ids: int, zeros: bool) -> None:
        """``time_ids`` is how many numbers the UNet takes besides the prompt, ``zeros`` as in the checkpoint."""
        self.unet, self.vae, self.text = parts.unet, parts.vae, parts.text
        encoders = {part: text.encoder for part, text in zip(checkpoint.bundle.tokenizers, self.text, strict=True)}
        networks = {**encoders, "unet": self.unet, "vae": self.vae}
        super().__init__(checkpoint, networks, parts.report, lambda: unet_pairs(checkpoint.unet))
        self.step_cache = UNetCache(self.unet)
        self._time_ids, self._zeros = time_ids, zeros

    @torch.no_grad()
    def encode_prompt(self, prompts: Sequence[str], settings: PromptSettings) -> Conditioning:
        """``text`` (batch, tokens, width), ``pooled`` (batch, width) and ``time_ids`` (batch, 6 or 5).

        The states before each encoder's last layer, side by side; the last encoder's projected pooled state; the
        numbers of ``MicroConditioning``. An empty negative prompt is all zeros where the checkpoint was trained so.
        """
        skip, parts = 1 + clip_skip_of(settings), self.checkpoint.bundle.tokenizers
        encoded = [
            encode_clip(*text, prompts, skip=skip, normed=False, learnt=self.learnt(settings, part))
            for part, text in zip(parts, self.text, strict=True)
        ]
        states, pooled = torch.cat([each.states for each in encoded], -1), encoded[-1].pooled
        if settings.negative and self._zeros:
            written = torch.tensor([bool(prompt.strip()) for prompt in prompts], device=states.device)
            states, pooled = states * written[:, None, None], pooled * written[:, None]
        micro = settings.own if isinstance(settings.own, MicroConditioning) else MicroConditioning()
        size = (settings.width, settings.height)
        numbers = micro.time_ids(size, self._time_ids, negative=settings.negative)
        time_ids = torch.tensor(numbers, device=states.device, dtype=torch.float32).expand(len(prompts), -1)
        return Conditioning({"text": states.to(self.dtype), "pooled": pooled.to(self.dtype), "time_ids": time_ids})

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
        output: Tensor
        with self.step_cache.serving(cache, len(x)):
            output = self.unet(
                with_mask(x.to(self.dtype), conditioning),
                timestep_rows(timestep, x),
                encoder_hidden_states=conditioning["text"],
                cross_attention_kwargs=self.attention_options(attention, (x.shape[-2], x.shape[-1]), injected),
                added_cond_kwargs={"text_embeds": conditioning["pooled"], "time_ids": conditioning["time_ids"]},
                return_dict=False,
                **unet_options(self.unet, injected, x),
            )[0]
        return output

    def inpainting(self, pixels: Tensor, mask: Tensor) -> Mapping[str, Tensor]:
        """``mask`` and ``masked``, at the latents' size."""
        return mask_and_masked(self.autoencoder, pixels, mask)
