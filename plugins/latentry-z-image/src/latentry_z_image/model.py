"""Z-Image in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from latentry.models import CachedPass, Conditioning, PromptSettings, timestep_rows
from latentry_diffusers.model.networks_in_memory import NetworksInMemory
from latentry_diffusers.model.packing import PATCH
from latentry_diffusers.model.step_cache import StreamCache
from latentry_diffusers.text.language import Turns, read_prompts, split
from latentry_z_image.attention import SingleStreamProcessor
from latentry_z_image.layout import z_image_pairs

if TYPE_CHECKING:
    from latentry_diffusers.model.checkpoint import BundledCheckpoint
    from latentry_diffusers.model.load_networks import Loaded

TURNS = Turns("<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n")
"""What Qwen3's template puts around a prompt that is to be thought about."""
TOKENS = 512
"""The most tokens, those around the prompt included."""
LAYER = -2
"""Which of the text encoder's hidden states the transformer attends to: those before its last layer."""
MULTIPLE = 32
"""Of which the transformer makes the numbers of a text's and a picture's tokens, with tokens of its own."""
TIMESTEPS = 1000.0


class ZImage(NetworksInMemory):
    """The networks of one checkpoint; ``latentry.models.Model`` says what each method takes and returns.

    Attributes:
        checkpoint: the checkpoint that they were loaded from.
        transformer: diffusers' ``ZImageTransformer2DModel``.
        vae: diffusers' ``AutoencoderKL``.
        text: Qwen3 with its tokenizer.
    """

    rows_of_timesteps = True
    checkpoint: BundledCheckpoint

    def __init__(self, checkpoint: BundledCheckpoint, loaded: Loaded) -> None:
        networks = loaded.networks
        self.transformer, self.vae, self.text = networks["transformer"], networks["vae"], loaded.text("text_encoder")
        config = checkpoint.bundle.config("transformer")
        processors = {"ZSingleStreamAttnProcessor": SingleStreamProcessor}
        super().__init__(checkpoint, networks, loaded.report, lambda: z_image_pairs(config), processors)
        self.step_cache = StreamCache(self.transformer.layers)
        rotary = self.transformer.rope_embedder  # it would keep tables made in inference mode
        with torch.inference_mode(False):
            rotary.freqs_cis = rotary.precompute_freqs_cis(rotary.axes_dims, rotary.axes_lens, theta=rotary.theta)
            rotary.freqs_cis = [table.to(self.device) for table in rotary.freqs_cis]

    def encode_prompt(self, prompts: Sequence[str], settings: PromptSettings) -> Conditioning:
        """``text`` (batch, tokens, width), padded as the network does, and ``tokens`` (batch,), those that are real."""
        read = read_prompts(*self.text, prompts, TURNS, layers=(LAYER,), length=TOKENS, multiple=MULTIPLE)
        return Conditioning(read.tensors(self.dtype))

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
        """The transformer's output, negated: it predicts x₀ − ε, and its clock runs from 0 at pure noise to 1."""
        tokens = (x.shape[-2] // PATCH) * (x.shape[-1] // PATCH)
        outputs: list[Tensor]
        with self.step_cache.serving(cache, len(x), picture=-(-tokens // MULTIPLE) * MULTIPLE):
            outputs = self.transformer(
                list(x.to(self.dtype)[:, :, None].unbind()),  # (channels, time, height, width) each
                (TIMESTEPS - timestep_rows(timestep, x)) / TIMESTEPS,
                split(conditioning),
                return_dict=False,
            )[0]
        return -torch.stack(outputs)[:, :, 0]
