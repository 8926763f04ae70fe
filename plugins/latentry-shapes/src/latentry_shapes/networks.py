"""The untrained parts: a Stable Diffusion in miniature, in diffusers' and transformers' own classes."""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from latentry_shapes._vocabulary import byte_pairs
from latentry_shapes.scenes import SIZE, words

TEXT_WIDTH = 96
TOKENS = 24


def tokenizer() -> CLIPTokenizer:
    """A CLIP tokenizer over the caption vocabulary; the same ids every time."""
    ids, merges = byte_pairs(words())
    return CLIPTokenizer(vocab=ids, merges=merges, model_max_length=TOKENS)


def text_encoder(vocabulary: int) -> CLIPTextModel:
    """Three transformer layers over ``TOKENS`` positions; hidden states (batch, TOKENS, TEXT_WIDTH)."""
    config = CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=TEXT_WIDTH,
        intermediate_size=4 * TEXT_WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=TOKENS,
        projection_dim=TEXT_WIDTH,
        bos_token_id=vocabulary - 2,
        eos_token_id=vocabulary - 1,
        pad_token_id=vocabulary - 1,
    )
    return CLIPTextModel(config)


def autoencoder() -> AutoencoderKL:
    """Pictures (3, 64, 64) in -1..1 to latents (4, 16, 16) and back."""
    return AutoencoderKL(
        block_out_channels=(12, 24, 48),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        sample_size=SIZE,
    ).to(memory_format=torch.channels_last)


def unet() -> UNet2DConditionModel:
    """Predicts the noise in latents (4, 16, 16) under text states (TOKENS, TEXT_WIDTH)."""
    return UNet2DConditionModel(
        sample_size=SIZE // 4,
        block_out_channels=(48, 96, 128),
        layers_per_block=1,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=4,
        norm_num_groups=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    ).to(memory_format=torch.channels_last)


def scheduler() -> DDIMScheduler:
    """The noise process of Stable Diffusion 1.5, which the model is trained on."""
    return DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
