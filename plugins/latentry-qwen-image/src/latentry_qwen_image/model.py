"""Qwen-Image in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from latentry.models import Conditioning, PromptSettings, timestep_rows
from latentry_diffusers.model.networks_in_memory import NetworksInMemory
from latentry_diffusers.model.packing import PATCH, pack, unpack
from latentry_diffusers.text.language import Turns, read_prompts
from latentry_qwen_image.attention import DoubleStreamProcessor
from latentry_qwen_image.autoencoder import FrameAutoencoder
from latentry_qwen_image.layout import qwen_image_pairs

if TYPE_CHECKING:
    from latentry_diffusers.model.checkpoint import BundledCheckpoint
    from latentry_diffusers.model.load_networks import Loaded

SYSTEM = (
    "Describe the image by detailing the color, shape, size, texture, quantity, text, spatial relationships of the "
    "objects and background:"
)
"""What the text encoder is told, as in training; github.com/QwenLM/Qwen-Image."""
TURNS = Turns(f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n")
BEFORE = 34
"""The tokens before the prompt, whose states the transformer is not given."""
TOKENS = 1024 + BEFORE
TIMESTEPS = 1000
"""The transformer takes σ and multiplies it by this itself."""


class QwenImage(NetworksInMemory):
    """The networks of one checkpoint; ``latentry.models.Model`` says what each method takes and returns.

    Attributes:
        checkpoint: the checkpoint that they were loaded from.
        transformer: diffusers' ``QwenImageTransformer2DModel``.
        vae: diffusers' ``AutoencoderKLQwenImage``.
        text: the language model of Qwen2.5-VL with its tokenizer.
    """

    rows_of_timesteps = True
    checkpoint: BundledCheckpoint

    def __init__(self, checkpoint: BundledCheckpoint, loaded: Loaded) -> None:
        networks = loaded.networks
        self.transformer, self.vae, self.text = networks["transformer"], networks["vae"], loaded.text("text_encoder")
        config, processors = (
            checkpoint.bundle.config("transformer"),
            {"QwenDoubleStreamAttnProcessor2_0": DoubleStreamProcessor},
        )
        autoencoder = FrameAutoencoder(self.vae)
        super().__init__(checkpoint, networks, loaded.report, lambda: qwen_image_pairs(config), processors, autoencoder)
        rotary = self.transformer.pos_embed  # its tables are no buffers, and stayed on the meta device
        with torch.inference_mode(False):
            self.transformer.pos_embed = type(rotary)(rotary.theta, rotary.axes_dim, rotary.scale_rope)

    def encode_prompt(self, prompts: Sequence[str], settings: PromptSettings) -> Conditioning:
        """``text`` (batch, tokens, width), padded where prompts differ, and ``tokens`` (batch,), those not padded."""
        read = read_prompts(*self.text, prompts, TURNS, layers=(-1,), length=TOKENS, leave_out=BEFORE)
        return Conditioning(read.tensors(self.dtype))

    @torch.no_grad()
    def predict(
        self, x: Tensor, timestep: float | Tensor, conditioning: Conditioning, *, skip_layers: tuple[int, ...] = ()
    ) -> Tensor:
        """The transformer's output, unpacked."""
        text, counts, (height, width) = conditioning["text"], conditioning["tokens"], x.shape[-2:]
        most = text.shape[1]
        padded = bool((counts < most).any())  # on the CPU
        real = (torch.arange(most) < counts[:, None]).to(x.device) if padded else None
        output: Tensor = self.transformer(
            pack(x.to(self.dtype)),
            timestep=timestep_rows(timestep, x) / TIMESTEPS,
            encoder_hidden_states=text,
            encoder_hidden_states_mask=real,
            img_shapes=[[(1, height // PATCH, width // PATCH)]] * len(x),
            return_dict=False,
        )[0]
        return unpack(output, height, width)
