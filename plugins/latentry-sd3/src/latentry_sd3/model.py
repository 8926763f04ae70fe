"""Stable Diffusion 3 in memory."""

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
from latentry_diffusers.layouts.sd3 import sd3_pairs
from latentry_diffusers.lora import Adapters
from latentry_sd3.prompts import encode

if TYPE_CHECKING:
    from latentry_sd3.checkpoint import StableDiffusion3Checkpoint
    from latentry_sd3.parts import Parts


class StableDiffusion3:
    """The networks of one checkpoint; see ``latentry.Model`` for what each method takes and gives.

    Attributes:
        checkpoint: what it was loaded from.
        transformer: diffusers' ``SD3Transformer2DModel``.
        vae: diffusers' ``AutoencoderKL``.
        clips: CLIP-L and CLIP-G with their tokenizers.
        t5: T5 with its tokenizer, None where there is none.
        autoencoder: the way through ``vae``.
        report: what became of the checkpoint's tensors.
    """

    def __init__(self, checkpoint: StableDiffusion3Checkpoint, parts: Parts) -> None:
        self.checkpoint = checkpoint
        self.transformer, self.vae = parts.transformer, parts.vae
        self.clips, self.t5 = parts.clips, parts.t5
        self.autoencoder = Autoencoder(self.vae)
        self.report: LoadReport = parts.report
        self._attention = Routing(
            {"transformer": self.transformer, "vae": self.vae},
            text=[text.encoder for text in (*self.clips, self.t5) if text],
        )
        self._loras = Adapters(self.networks, lambda: sd3_pairs(self.checkpoint.transformer))

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """See ``latentry.Model``."""
        told = zip(("text_encoder", "text_encoder_2", "text_encoder_3"), (*self.clips, self.t5), strict=True)
        encoders = {part: text.encoder for part, text in told if text}
        return {**encoders, "transformer": self.transformer, "vae": self.vae}

    @property
    def process(self) -> Process:
        """How noise was added in training."""
        return self.checkpoint.noise.process

    @property
    def prediction(self) -> Prediction:
        """What the transformer emits."""
        return self.checkpoint.noise.prediction

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        device: torch.device = self.transformer.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """What the networks run in."""
        dtype: torch.dtype = self.transformer.dtype
        return dtype

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """Channels, height and width of one latent."""
        return self.checkpoint.latent_shape(width, height)

    def encode_prompt(self, prompts: Sequence[str], settings: PromptSettings) -> Conditioning:
        """``text`` (batch, tokens, width) and ``pooled`` (batch, width); see ``prompts.encode``."""
        text, pooled = encode(
            prompts,
            self.clips,
            self.t5,
            width=self.checkpoint.transformer["joint_attention_dim"],
            clip_skip=settings.clip_skip,
        )
        return Conditioning({"text": text.to(self.dtype), "pooled": pooled.to(self.dtype)})

    @torch.no_grad()
    def predict(
        self, x: Tensor, timestep: float, conditioning: Conditioning, *, skip_layers: tuple[int, ...] = ()
    ) -> Tensor:
        """The transformer's output, the blocks of ``skip_layers`` left out."""
        output: Tensor = self.transformer(
            x.to(self.dtype),
            timestep=torch.full((x.shape[0],), timestep, device=x.device),  # a fill: no copy from the host
            encoder_hidden_states=conditioning["text"],
            pooled_projections=conditioning["pooled"],
            skip_layers=list(skip_layers),
            return_dict=False,
        )[0]
        return output

    def inpainting(self, pixels: Tensor, mask: Tensor) -> Mapping[str, Tensor]:
        """Nothing: no variant has a network for it."""
        return {}

    def encode(self, pixels: Tensor, noise: Tensor | None = None) -> Tensor:
        """Latents in units of about one standard deviation."""
        return self.autoencoder.encode(pixels, noise)

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures in −1..1."""
        return self.autoencoder.decode(latents)

    def set_attention(
        self, backend: AttentionBackend | str | None, *, role: str | None = None
    ) -> AbstractContextManager[None]:
        """Roles are ``joint``, ``self`` (dual attention), ``vae`` and ``text``; None is all of them."""
        return self._attention.set(backend, role)

    def set_loras(self, loras: Sequence[LoraRequest], mode: LoraMode = "unmerged") -> AbstractContextManager[None]:
        """LoRAs of the text encoders and of the transformer."""
        return self._loras.set(loras, mode)

    def set_tiling(self, side: int | None, *, slicing: bool = False) -> AbstractContextManager[None]:
        """How pictures go through the autoencoder."""
        return self.autoencoder.tiled(side, slicing=slicing)
