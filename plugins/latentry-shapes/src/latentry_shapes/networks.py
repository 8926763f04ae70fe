"""The autoencoders with random weights, the noise process of Stable Diffusion, and its tokenizer."""

from __future__ import annotations

from diffusers import AutoencoderKL, DDIMScheduler
from torch import Tensor, channels_last

from latentry_shapes.encoders import TOKENS
from latentry_shapes.encoders import clip_tokenizer as tokenizer
from latentry_shapes.scenes import SIZE

SIDE = SIZE // 4
"""Height and width of the latents."""


def autoencoder(channels: int = 4) -> AutoencoderKL:
    """An autoencoder from pictures (3, 64, 64) in -1..1 to latents (channels, 16, 16).

    With 4 channels there is a convolution on either side of the latents, as in Stable Diffusion and SDXL; with 16
    there is none, as in SD3 and FLUX.
    """
    convolutions = channels == 4
    return AutoencoderKL(
        block_out_channels=(12, 24, 48),
        layers_per_block=1,
        latent_channels=channels,
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        sample_size=SIZE,
        shift_factor=None if convolutions else 0.0,
        use_quant_conv=convolutions,
        use_post_quant_conv=convolutions,
    ).to(memory_format=channels_last)


def scheduler(prediction: str = "epsilon") -> DDIMScheduler:
    """The noise process of Stable Diffusion."""
    return DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction,
    )


def cumulative() -> Tensor:
    """alpha² of that process at its timesteps, (1000,)."""
    levels: Tensor = scheduler().alphas_cumprod
    return levels


__all__ = ["SIDE", "TOKENS", "autoencoder", "cumulative", "scheduler", "tokenizer"]
