"""FLUX.1 in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import pixel_unshuffle

from latentry.models import AttentionChange, CachedPass, Conditioning, PromptSettings, timestep_rows
from latentry_diffusers.conditioning.injection import block_tensors
from latentry_diffusers.layouts.flux import flux_pairs
from latentry_diffusers.model.distilled_guidance import guidance_rows
from latentry_diffusers.model.networks_in_memory import NetworksInMemory
from latentry_diffusers.model.rotary import Rotary, RotaryTables, Size
from latentry_diffusers.model.step_cache import TransformerCache
from latentry_diffusers.text.clip import encode_clip
from latentry_diffusers.text.t5 import encode_t5
from latentry_flux.packing import pack, positions, text_positions, unpack
from latentry_flux.pictures import fitted_pixels

if TYPE_CHECKING:
    from latentry_diffusers.model.checkpoint import BundledCheckpoint
    from latentry_flux.parts import Parts

SCHNELL_TOKENS, TOKENS = 256, 512
"""Tokens of T5's window: schnell's, and the others'."""
TIMESTEPS = 1000
"""The transformer takes σ and multiplies it by this itself."""


class Flux(NetworksInMemory):
    """The networks of one checkpoint; ``latentry.models.Model`` says what each method takes and returns.

    Attributes:
        checkpoint: the checkpoint that they were loaded from.
        transformer: diffusers' ``FluxTransformer2DModel``.
        vae: diffusers' ``AutoencoderKL``.
        clip: CLIP-L with its tokenizer.
        t5: T5 with its tokenizer.
    """

    checkpoint: BundledCheckpoint
    rows_of_timesteps = True
    rows_of_lora_weights = True

    def __init__(self, checkpoint: BundledCheckpoint, parts: Parts) -> None:
        self.transformer, self.vae = parts.transformer, parts.vae
        self.clip, self.t5 = parts.clip, parts.t5
        encoders = {"text_encoder": self.clip.encoder, "text_encoder_2": self.t5.encoder}
        networks = {**encoders, "transformer": self.transformer, "vae": self.vae}
        self.transformer.pos_embed = Rotary(self.transformer.pos_embed)
        self._rotary = RotaryTables(self.transformer.pos_embed, text_positions, positions)
        self._config = checkpoint.bundle.config("transformer")
        super().__init__(checkpoint, networks, parts.report, lambda: flux_pairs(self._config))
        blocks = [*self.transformer.transformer_blocks, *self.transformer.single_transformer_blocks]
        self.step_cache = TransformerCache(blocks)

    def encode_prompt(self, prompts: Sequence[str], settings: PromptSettings) -> Conditioning:
        """``text`` (batch, tokens, width) from T5, ``pooled`` (batch, width) from CLIP, ``guidance`` (batch,).

        The guidance scale is there where the network takes it, and ``shown`` (batch, channels, h, w), the latents of
        the picture that Canny and Depth draw from. Only CLIP's pooled state is used.

        Raises:
            OptionError: the network takes a guidance scale, and none is given.
        """
        length = SCHNELL_TOKENS if self.checkpoint.variant == "schnell" else TOKENS
        text = encode_t5(*self.t5, prompts, length=length)
        pooled = encode_clip(*self.clip, prompts, windows=1, learnt=self.learnt(settings, "text_encoder")).pooled
        conditioning = {"text": text.to(self.dtype), "pooled": pooled.to(self.dtype)}
        if self._config["guidance_embeds"]:
            variant = self.checkpoint.variant
            conditioning["guidance"] = guidance_rows(settings, len(prompts), text.device, variant)
        for reference in settings.references:
            latents = self.encode(fitted_pixels(reference.picture, settings.width, settings.height).to(text.device))
            conditioning["shown"] = latents.to(self.dtype).expand(len(prompts), *latents.shape[1:])
        return Conditioning(conditioning)

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
        """The transformer's output, unpacked; it is shown more than x by Fill, Canny and Depth."""
        text, (height, width) = conditioning["text"], x.shape[-2:]
        text_rows, picture_rows = self._rotary(Size(text.shape[1], height, width, x.device))
        inputs = [x, *(conditioning[name] for name in ("masked", "mask", "shown") if name in conditioning)]
        output: Tensor
        with self.step_cache.serving(cache, len(x)):
            output = self.transformer(
                pack(torch.cat([each.to(self.dtype) for each in inputs], dim=1)),
                timestep=timestep_rows(timestep / TIMESTEPS, x),
                guidance=conditioning.tensors.get("guidance"),
                encoder_hidden_states=text,
                pooled_projections=conditioning["pooled"],
                txt_ids=text_rows,
                img_ids=picture_rows,
                joint_attention_kwargs=self.attention_options(attention, (height // 2, width // 2), injected),
                controlnet_block_samples=block_tensors(injected, "double", self._config["num_layers"], x),
                controlnet_single_block_samples=block_tensors(injected, "single", self._config["num_single_layers"], x),
                return_dict=False,
            )[0]
        return unpack(output, height, width)

    def inpainting(self, pixels: Tensor, mask: Tensor) -> Mapping[str, Tensor]:
        """``masked``, the latents of the picture with grey where it will be drawn, and ``mask`` (batch, f², h, w).

        One latent covers f × f pixels, which become channels of the mask.
        """
        masked = self.encode(pixels * (mask < 0.5))
        return {"mask": pixel_unshuffle(mask.to(masked), self.checkpoint.factor), "masked": masked}
