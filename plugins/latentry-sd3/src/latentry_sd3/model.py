"""Stable Diffusion 3 in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from latentry.models import AttentionChange, CachedPass, Conditioning, PromptSettings, timestep_rows
from latentry_diffusers.conditioning.injection import block_tensors
from latentry_diffusers.layouts.sd3 import sd3_pairs
from latentry_diffusers.model.networks_in_memory import NetworksInMemory
from latentry_diffusers.model.step_cache import TransformerCache
from latentry_diffusers.text.clip_skip import clip_skip_of
from latentry_sd3.parts import CLIPS, THIRD
from latentry_sd3.prompts import encode

if TYPE_CHECKING:
    from latentry_diffusers.model.checkpoint import BundledCheckpoint
    from latentry_sd3.parts import Parts


class StableDiffusion3(NetworksInMemory):
    """The networks of one checkpoint; ``latentry.models.Model`` says what each method takes and returns.

    Attributes:
        checkpoint: the checkpoint that they were loaded from.
        transformer: diffusers' ``SD3Transformer2DModel``.
        vae: diffusers' ``AutoencoderKL``.
        clips: CLIP-L and CLIP-G with their tokenizers.
        t5: T5 with its tokenizer, None where there is none.
    """

    checkpoint: BundledCheckpoint
    rows_of_timesteps = True
    rows_of_lora_weights = True

    def __init__(self, checkpoint: BundledCheckpoint, parts: Parts) -> None:
        self.transformer, self.vae = parts.transformer, parts.vae
        self.clips, self.t5 = parts.clips, parts.t5
        named = zip((*CLIPS, THIRD), (*self.clips, self.t5), strict=True)
        encoders = {part: text.encoder for part, text in named if text}
        networks = {**encoders, "transformer": self.transformer, "vae": self.vae}
        super().__init__(checkpoint, networks, parts.report, lambda: sd3_pairs(checkpoint.bundle.config("transformer")))
        self.step_cache = TransformerCache(self.transformer.transformer_blocks)

    def encode_prompt(self, prompts: Sequence[str], settings: PromptSettings) -> Conditioning:
        """``text`` (batch, tokens, width) and ``pooled`` (batch, width); see ``prompts.encode``."""
        text, pooled = encode(
            prompts,
            self.clips,
            self.t5,
            width=self.checkpoint.bundle.config("transformer")["joint_attention_dim"],
            clip_skip=clip_skip_of(settings),
            learnt=[self.learnt(settings, part) for part in CLIPS],
        )
        return Conditioning({"text": text.to(self.dtype), "pooled": pooled.to(self.dtype)})

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
        """The transformer's output, the blocks of ``skip_layers`` left out."""
        patch, blocks = self.transformer.config.patch_size, len(self.transformer.transformer_blocks)
        output: Tensor
        with self.step_cache.serving(cache, len(x)):
            output = self.transformer(
                x.to(self.dtype),
                timestep=timestep_rows(timestep, x),
                encoder_hidden_states=conditioning["text"],
                pooled_projections=conditioning["pooled"],
                block_controlnet_hidden_states=block_tensors(injected, "block", blocks, x),
                skip_layers=list(skip_layers),
                joint_attention_kwargs=self.attention_options(
                    attention, (x.shape[-2] // patch, x.shape[-1] // patch), injected
                ),
                return_dict=False,
            )[0]
        return output

    def inpainting(self, pixels: Tensor, mask: Tensor) -> Mapping[str, Tensor]:
        """Nothing: no variant has an inpainting network."""
        return {}
