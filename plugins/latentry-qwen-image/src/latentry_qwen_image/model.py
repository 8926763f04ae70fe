"""Qwen-Image in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from latentry import ModelError
from latentry.models import CachedPass, Conditioning, PromptSettings, Reference, timestep_rows
from latentry_diffusers.model.networks_in_memory import NetworksInMemory
from latentry_diffusers.model.packing import PATCH, pack, unpack
from latentry_diffusers.model.step_cache import TransformerCache
from latentry_diffusers.text.language import read_prompts
from latentry_diffusers.text.seeing import PICTURE, Seeing
from latentry_qwen_image.attention import DoubleStreamProcessor
from latentry_qwen_image.autoencoder import FrameAutoencoder
from latentry_qwen_image.frame_attention import frame_attention
from latentry_qwen_image.layout import qwen_image_pairs
from latentry_qwen_image.pictures import fitted, pixels
from latentry_qwen_image.prompts import INSTRUCTIONS

if TYPE_CHECKING:
    from latentry_diffusers.model.checkpoint import BundledCheckpoint
    from latentry_diffusers.model.load_networks import Loaded

TOKENS = 1024
"""The most tokens of a prompt, those around it not counted."""
TIMESTEPS = 1000
"""The transformer takes σ and multiplies it by this itself."""


class QwenImage(NetworksInMemory):
    """The networks of one checkpoint; ``latentry.models.Model`` says what each method takes and returns.

    Attributes:
        checkpoint: the checkpoint that they were loaded from.
        transformer: diffusers' ``QwenImageTransformer2DModel``.
        vae: diffusers' ``AutoencoderKLQwenImage``.
        text: the language model of Qwen2.5-VL with its tokenizer; of editing models, with its picture encoder.
    """

    rows_of_timesteps = True
    checkpoint: BundledCheckpoint

    def __init__(self, checkpoint: BundledCheckpoint, loaded: Loaded) -> None:
        networks = loaded.networks
        self.transformer, self.vae, self.text = networks["transformer"], networks["vae"], loaded.text("text_encoder")
        config = checkpoint.bundle.config("transformer")
        if config.get("zero_cond_t") and not hasattr(self.transformer, "zero_cond_t"):
            raise ModelError(
                "The transformer cannot be run by this version of diffusers.",
                why="It sees its references at time 0 (zero_cond_t), which this version does not know.",
                remedy="Install a newer diffusers.",
            )
        # there the layers that modulate see each row twice, the second time at time 0
        self.rows_of_lora_weights = not config.get("zero_cond_t")
        super().__init__(
            checkpoint,
            networks,
            loaded.report,
            lambda: qwen_image_pairs(config),
            processors={"QwenDoubleStreamAttnProcessor2_0": DoubleStreamProcessor},
            autoencoder=FrameAutoencoder(self.vae),
            slots=frame_attention(self.vae),
        )
        self.step_cache = TransformerCache(self.transformer.transformer_blocks)
        rotary = self.transformer.pos_embed  # its tables are no buffers, and stayed on the meta device
        with torch.inference_mode(False):
            self.transformer.pos_embed = type(rotary)(rotary.theta, rotary.axes_dim, rotary.scale_rope)

    def encode_prompt(self, prompts: Sequence[str], settings: PromptSettings) -> Conditioning:
        """``text`` (batch, tokens, width), padded where prompts differ, and ``tokens`` (batch,), those not padded.

        Of references, ``shown`` (batch, tokens, channels), their latents one after another, and ``shown_sizes`` (batch,
        0, rows, columns, rows, …), without values: all rows of a batch have one layout, so it is in a shape.
        """
        told, (encoder, tokenizer) = INSTRUCTIONS[self.checkpoint.variant], self.text
        side, shown = round(self.checkpoint.size * told.side), settings.references
        if shown:
            encoder = Seeing(encoder, [fitted(each.picture, side) for each in shown])
        turns = told.turns(encoder.tokens if shown else ())
        clean = [prompt.replace(PICTURE, "") for prompt in prompts]
        length = TOKENS + len(tokenizer(turns.before, add_special_tokens=False, verbose=False).input_ids)
        read = read_prompts(encoder, tokenizer, clean, turns, layers=(-1,), length=length, leave_out=told.before)
        return Conditioning(read.tensors(self.dtype) | (self._shown(shown, len(prompts)) if shown else {}))

    def _shown(self, references: Sequence[Reference], batch: int) -> dict[str, Tensor]:
        latents = [self.encode(pixels(fitted(each.picture, self.checkpoint.size))) for each in references]
        tokens = torch.cat([pack(each.to(self.dtype)) for each in latents], dim=1)
        sides = [side // PATCH for each in latents for side in each.shape[-2:]]
        return {"shown": tokens.expand(batch, -1, -1), "shown_sizes": torch.empty(batch, 0, *sides)}

    @torch.no_grad()
    def predict(
        self,
        x: Tensor,
        timestep: float | Tensor,
        conditioning: Conditioning,
        *,
        skip_layers: tuple[int, ...] = (),
        cache: CachedPass | None = None,
    ) -> Tensor:
        """The transformer's output for the picture's own tokens, unpacked; those of references follow them."""
        text, counts, (height, width) = conditioning["text"], conditioning["tokens"], x.shape[-2:]
        most = text.shape[1]
        padded = bool((counts < most).any())  # on the CPU
        real = (torch.arange(most) < counts[:, None]).to(x.device) if padded else None
        tokens, sizes = pack(x.to(self.dtype)), [(1, height // PATCH, width // PATCH)]
        count = tokens.shape[1]
        if "shown" in conditioning:
            tokens = torch.cat([tokens, conditioning["shown"]], dim=1)
            sides = conditioning["shown_sizes"].shape[2:]
            sizes += [(1, rows, columns) for rows, columns in zip(sides[::2], sides[1::2], strict=True)]
        output: Tensor
        with self.step_cache.serving(cache, len(x)):
            output = self.transformer(
                tokens,
                timestep=timestep_rows(timestep, x) / TIMESTEPS,
                encoder_hidden_states=text,
                encoder_hidden_states_mask=real,
                img_shapes=[sizes] * len(x),
                return_dict=False,
            )[0]
        return unpack(output[:, :count], height, width)
