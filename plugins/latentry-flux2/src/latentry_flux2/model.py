"""FLUX.2 in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from latentry.models import AttentionChange, CachedPass, Conditioning, PromptSettings, Reference, timestep_rows
from latentry_diffusers.model.autoencoder import Autoencoder
from latentry_diffusers.model.distilled_guidance import guidance_rows
from latentry_diffusers.model.networks_in_memory import NetworksInMemory
from latentry_diffusers.model.rotary import Rotary, RotaryTables, Size
from latentry_diffusers.model.step_cache import TransformerCache
from latentry_diffusers.text.language import Turns, read_window
from latentry_flux2.attention import PROCESSORS
from latentry_flux2.latents import Patches, pack, picture_positions, text_positions, unpack
from latentry_flux2.layout import PATCH, flux2_pairs
from latentry_flux2.references import fitted
from latentry_flux2.variants import LAYERS

if TYPE_CHECKING:
    from latentry_diffusers.model.checkpoint import BundledCheckpoint
    from latentry_diffusers.model.load_networks import Loaded

TOKENS = 512
"""Tokens of the text's window, those around the prompt included."""
TIMESTEPS = 1000
"""The transformer takes σ and multiplies it by this itself."""
QWEN = Turns("<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n")
"""What Qwen3's template puts around a prompt that is not to be thought about."""
SYSTEM = (
    "You are an AI that reasons about image descriptions. You give structured responses focusing on object "
    "relationships, object\nattribution and actions without speculation."
)
"""What dev was trained to tell its text encoder; github.com/black-forest-labs/flux2, ``system_messages.py``."""
MISTRAL = Turns(f"<s>[SYSTEM_PROMPT]{SYSTEM}[/SYSTEM_PROMPT][INST]", "[/INST]")
"""What Mistral's template puts around a prompt."""
PICTURE_TOKEN = "[IMG]"
"""Stands for a part of a picture in Mistral's vocabulary; left out of prompts."""


class Flux2(NetworksInMemory):
    """The networks of one checkpoint; ``latentry.models.Model`` says what each method takes and returns.

    Attributes:
        checkpoint: the checkpoint that they were loaded from.
        transformer: diffusers' ``Flux2Transformer2DModel``.
        vae: diffusers' ``AutoencoderKLFlux2``.
        text: Qwen3 or Mistral with its tokenizer.
        read_layers: its hidden states that the transformer attends to.
    """

    rows_of_timesteps = True
    rows_of_lora_weights = True
    checkpoint: BundledCheckpoint

    def __init__(self, checkpoint: BundledCheckpoint, loaded: Loaded) -> None:
        networks = loaded.networks
        self.transformer, self.vae, self.text = networks["transformer"], networks["vae"], loaded.text("text_encoder")
        autoencoder = Autoencoder(self.vae, Patches(self.vae))
        self._config = config = checkpoint.bundle.config("transformer")
        self.read_layers = LAYERS[checkpoint.bundle.config("text_encoder")["model_type"]]
        super().__init__(checkpoint, networks, loaded.report, lambda: flux2_pairs(config), PROCESSORS, autoencoder)
        self._rotary = self.transformer.pos_embed = Rotary(self.transformer.pos_embed)
        self._tables = RotaryTables(self._rotary, text_positions, picture_positions)
        blocks = [*self.transformer.transformer_blocks, *self.transformer.single_transformer_blocks]
        self.step_cache = TransformerCache(blocks)

    def encode_prompt(self, prompts: Sequence[str], settings: PromptSettings) -> Conditioning:
        """``text`` (batch, tokens, width), ``guidance`` (batch,) where the network takes it, and of references.

        These are ``shown`` (batch, tokens, channels), their latents one after another, and ``shown_at`` (batch, tokens,
        2 · head size), the rotary rows of where each token is. All rows of a batch have one layout: ``shown_size_1``
        (batch, 0, height, width) and so on have no values, and keep references of other sizes out of it.

        Raises:
            OptionError: the network takes a guidance scale, and none is given.
        """
        turns = MISTRAL if self.checkpoint.variant == "dev" else QWEN
        clean = [prompt.replace(PICTURE_TOKEN, "") for prompt in prompts] if turns is MISTRAL else prompts
        text = read_window(*self.text, clean, turns, layers=self.read_layers, length=TOKENS).to(self.dtype)
        conditioning = {"text": text}
        if self._config["guidance_embeds"]:
            variant = self.checkpoint.variant
            conditioning["guidance"] = guidance_rows(settings, len(prompts), text.device, variant)
        if settings.references:
            shown = self._shown(settings.references)
            conditioning |= {name: each.expand(len(prompts), *each.shape[1:]) for name, each in shown.items()}
        return Conditioning(conditioning)

    def _shown(self, references: Sequence[Reference]) -> dict[str, Tensor]:
        """What ``encode_prompt`` gives of references, for one row."""
        tokens, at, sizes = [], [], dict[str, Tensor]()
        for number, reference in enumerate(references, start=1):
            picture = np.asarray(fitted(reference.picture, PATCH * self.checkpoint.factor))
            pixels = torch.from_numpy(picture.copy()).to(self.device).permute(2, 0, 1)[None] / 127.5 - 1.0
            latents = self.encode(pixels)
            tokens.append(pack(latents).to(self.dtype))
            height, width = latents.shape[-2:]
            at.append(picture_positions(height, width, latents.device, number))
            sizes[f"shown_size_{number}"] = torch.empty(1, 0, height, width)
        rows = self._rotary.rows(torch.cat(at))[None]
        return {"shown": torch.cat(tokens, dim=1), "shown_at": rows, **sizes}

    @torch.no_grad()
    def predict(
        self,
        x: Tensor,
        timestep: float | Tensor,
        conditioning: Conditioning,
        *,
        skip_layers: tuple[int, ...] = (),
        attention: AttentionChange | None = None,
        cache: CachedPass | None = None,
    ) -> Tensor:
        """The transformer's output for the picture's own tokens; those of references follow them."""
        text, (height, width) = conditioning["text"], x.shape[-2:]
        tokens, (text_at, at) = pack(x.to(self.dtype)), self._tables(Size(text.shape[1], height, width, x.device))
        if "shown" in conditioning:
            tokens = torch.cat([tokens, conditioning["shown"]], dim=1)
            at = torch.cat([at, conditioning["shown_at"][0]])
        output: Tensor
        with self.step_cache.serving(cache, len(x)):
            output = self.transformer(
                tokens,
                timestep=timestep_rows(timestep, x) / TIMESTEPS,
                guidance=conditioning.tensors.get("guidance"),
                encoder_hidden_states=text,
                txt_ids=text_at,
                img_ids=at,
                joint_attention_kwargs=self.attention_options(attention, (height, width)),
                return_dict=False,
            )[0]
        return unpack(output[:, : height * width], height, width)
