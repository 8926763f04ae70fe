"""FLUX.1 in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_unshuffle

from latentry import (
    AttentionBackend,
    Conditioning,
    LoadReport,
    LoraMode,
    LoraRequest,
    OptionError,
    Prediction,
    Process,
    PromptSettings,
)
from latentry_diffusers.attention import Routing
from latentry_diffusers.autoencoder import Autoencoder
from latentry_diffusers.layouts.flux import flux_pairs
from latentry_diffusers.lora import Adapters
from latentry_diffusers.t5 import encode_t5
from latentry_diffusers.text import encode_clip
from latentry_flux.packing import pack, positions, unpack

if TYPE_CHECKING:
    from latentry_flux.checkpoint import FluxCheckpoint
    from latentry_flux.parts import Parts

TOKENS: Mapping[str, int] = {"dev": 512, "schnell": 256, "fill": 512}
"""Of T5's window."""
TIMESTEPS = 1000
"""The transformer is told σ, and multiplies it by this itself."""


class Flux:
    """The networks of one checkpoint; see ``latentry.Model`` for what each method takes and gives.

    Attributes:
        checkpoint: what it was loaded from.
        transformer: diffusers' ``FluxTransformer2DModel``.
        vae: diffusers' ``AutoencoderKL``.
        clip: CLIP-L with its tokenizer.
        t5: T5 with its tokenizer.
        autoencoder: the way through ``vae``.
        report: what became of the checkpoint's tensors.
    """

    def __init__(self, checkpoint: FluxCheckpoint, parts: Parts) -> None:
        self.checkpoint = checkpoint
        self.transformer, self.vae = parts.transformer, parts.vae
        self.clip, self.t5 = parts.clip, parts.t5
        self.autoencoder = Autoencoder(self.vae)
        self.report: LoadReport = parts.report
        encoders = [self.clip.encoder, self.t5.encoder]
        self._attention = Routing({"transformer": self.transformer, "vae": self.vae}, text=encoders)
        self._loras = Adapters(self.networks, lambda: flux_pairs(self.checkpoint.transformer))

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """See ``latentry.Model``."""
        encoders = {"text_encoder": self.clip.encoder, "text_encoder_2": self.t5.encoder}
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
        """``text`` (batch, tokens, width) from T5, ``pooled`` (batch, width) from CLIP, ``guidance`` (batch,).

        The guidance is there where the network is told it. Of CLIP the summary alone is used, to which clip skip makes
        no difference.

        Raises:
            OptionError: the network is to be told a guidance scale, and none is given.
        """
        text = encode_t5(*self.t5, prompts, length=TOKENS[self.checkpoint.variant])
        pooled = encode_clip(*self.clip, prompts, windows=1).pooled
        told = {"text": text.to(self.dtype), "pooled": pooled.to(self.dtype)}
        if self.checkpoint.transformer["guidance_embeds"]:
            if settings.guidance is None:
                raise OptionError(
                    "No guidance scale was given.", why=f"{self.checkpoint.variant} is told it with the prompt."
                )
            told["guidance"] = torch.full((len(prompts),), settings.guidance, device=text.device)
        return Conditioning(told)

    @torch.no_grad()
    def predict(
        self, x: Tensor, timestep: float, conditioning: Conditioning, *, skip_layers: tuple[int, ...] = ()
    ) -> Tensor:
        """The transformer's output, unpacked; Fill is also shown the mask and the picture around it."""
        text, (height, width) = conditioning["text"], x.shape[-2:]
        shown = [x, *(conditioning[name] for name in ("masked", "mask") if name in conditioning)]
        output: Tensor = self.transformer(
            pack(torch.cat([each.to(self.dtype) for each in shown], dim=1)),
            timestep=torch.full((x.shape[0],), timestep / TIMESTEPS, device=x.device),
            guidance=conditioning.tensors.get("guidance"),
            encoder_hidden_states=text,
            pooled_projections=conditioning["pooled"],
            txt_ids=torch.zeros((text.shape[1], 3), dtype=torch.int64, device=x.device),
            img_ids=positions(height, width, x.device),
            return_dict=False,
        )[0]
        return unpack(output, height, width)

    def inpainting(self, pixels: Tensor, mask: Tensor) -> Mapping[str, Tensor]:
        """``masked``, the latents of the picture with grey where it is to be drawn, and ``mask`` (batch, f², h, w).

        f pixels make one latent's side, and the f × f pixels of the mask that belong to one latent are its channels.
        """
        masked = self.encode(pixels * (mask < 0.5))
        return {"mask": pixel_unshuffle(mask.to(masked), self.checkpoint.factor), "masked": masked}

    def encode(self, pixels: Tensor, noise: Tensor | None = None) -> Tensor:
        """Latents in units of about one standard deviation."""
        return self.autoencoder.encode(pixels, noise)

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures in −1..1."""
        return self.autoencoder.decode(latents)

    def set_attention(
        self, backend: AttentionBackend | str | None, *, role: str | None = None
    ) -> AbstractContextManager[None]:
        """Roles are ``joint``, ``vae`` and ``text``; None is all of them."""
        return self._attention.set(backend, role)

    def set_loras(self, loras: Sequence[LoraRequest], mode: LoraMode = "unmerged") -> AbstractContextManager[None]:
        """LoRAs of the text encoders and of the transformer."""
        return self._loras.set(loras, mode)

    def set_tiling(self, side: int | None, *, slicing: bool = False) -> AbstractContextManager[None]:
        """How pictures go through the autoencoder."""
        return self.autoencoder.tiled(side, slicing=slicing)
