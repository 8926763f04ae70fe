"""Options under the names that other programs give them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import click

OURS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "--guidance": ("--cfg", "--cfg-scale", "--guidance-scale"),
        "--steps": ("--num-inference-steps", "--num-steps", "--sampling-steps", "--sample-steps"),
        "--scheduler": ("--sampler", "--sampler-name", "--sampling-method"),
        "--sigmas": ("--schedule", "--schedule-type", "--scheduler-type"),
        "--negative": ("--negative-prompt", "--neg", "--uncond"),
        "--count": ("-n", "--n-iter", "--n-samples", "--batch-count", "--num-images", "--num-images-per-prompt"),
        "--batch": ("--batch-size",),
        "--model": ("-m", "--ckpt", "--checkpoint", "--ckpt-name", "--sd-model-checkpoint", "--unet"),
        "--init-image": ("--init-img", "--image", "--input-image", "--img"),
        "--strength": ("--denoise", "--denoising-strength"),
        "--mask": ("--mask-image", "--inpaint-mask"),
        "--upscale": ("--hr-scale", "--hires-scale", "--enable-hr", "--hires"),
        "--control": ("--controlnet", "--control-net", "--control-image"),
        "--embedding": ("--textual-inversion",),
        "--output": ("-o", "--out", "--outdir", "--output-dir", "--outpath"),
        "--width": ("-w", "-W", "--W"),
        "--height": ("-H", "--H"),
        "--seed": ("-s", "--manual-seed", "--noise-seed"),
        "--offload": ("--lowvram", "--medvram", "--enable-model-cpu-offload"),
        "PROMPT": ("-p", "--prompt", "--text"),
        "--offline": ("--local-files-only",),
    }
)
"""Of AUTOMATIC1111, ComfyUI, diffusers and the scripts around them, as options or as fields with dashes."""


def ours_for(error: click.NoSuchOption) -> str | None:
    """What the command that was typed calls an option; None where nothing is known of the name, or it has none."""
    typed = error.option_name.replace("_", "-")
    name = next((name for name, others in OURS.items() if typed in others), None)
    known = error.ctx.command.get_params(error.ctx) if error.ctx else ()
    return name if any(name in (*each.opts, each.human_readable_name) for each in known) else None
