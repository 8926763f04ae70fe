"""A Stable Diffusion folder of random weights, small enough to be made in a second; and ways to spoil it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PROMPT = "a red circle left of a blue square on a black background"


def write_stable_diffusion(
    folder: Path, *, prediction: str = "epsilon", seed: int = 0, inpainting: bool = False, **scheduler: Any
) -> Path:
    """Write the whole folder in diffusers' layout and give its path.

    Args:
        folder: to be made.
        prediction: ``epsilon`` or ``v_prediction``.
        seed: of the weights.
        inpainting: a UNet that is also shown the mask and the masked picture.
        scheduler: further settings of ``scheduler_config.json``.
    """
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    from latentry_shapes.networks import tokenizer

    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        words = tokenizer()
        vocabulary, tokens = len(words), words.model_max_length
        unet = UNet2DConditionModel(
            sample_size=16,
            in_channels=9 if inpainting else 4,
            block_out_channels=(32, 64),
            layers_per_block=1,
            cross_attention_dim=32,
            attention_head_dim=4,
            norm_num_groups=8,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        )
        vae = AutoencoderKL(
            block_out_channels=(8, 16, 32),
            layers_per_block=1,
            latent_channels=4,
            norm_num_groups=4,
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            sample_size=64,
        )
        text_encoder = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=vocabulary,
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=4,
                max_position_embeddings=tokens,
                projection_dim=32,
                bos_token_id=vocabulary - 2,
                eos_token_id=vocabulary - 1,
                pad_token_id=vocabulary - 1,
            )
        )
    settings = {
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "clip_sample": False,
        "set_alpha_to_one": False,
        "steps_offset": 1,
        "prediction_type": prediction,
    }
    unet.save_pretrained(folder / "unet")
    vae.save_pretrained(folder / "vae")
    text_encoder.save_pretrained(folder / "text_encoder")
    words.save_pretrained(folder / "tokenizer")
    DDIMScheduler(**(settings | scheduler)).save_pretrained(folder / "scheduler")
    pipeline = {"_class_name": "StableDiffusionInpaintPipeline"} if inpainting else {}
    (folder / "model_index.json").write_text(json.dumps({**INDEX, **pipeline}, indent=2))
    return folder


INDEX: Mapping[str, Any] = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.42.1",
    "feature_extractor": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def copied(model: Path, folder: Path) -> Path:
    """A copy to be spoilt."""
    return Path(shutil.copytree(model, folder))


def as_wide_as_turbo(model: Path) -> Path:
    """Give a model configurations that fit SD Turbo, and weights no longer: for what is decided before they load."""
    edit(model / "unet" / "config.json", cross_attention_dim=1024)
    edit(model / "text_encoder" / "config.json", hidden_size=1024)
    edit(model / "scheduler" / "scheduler_config.json", timestep_spacing="trailing")
    return model


def edit(file: Path, **changes: Any) -> None:
    """Change keys of a JSON file; None removes one."""
    content = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def edit_weights(file: Path, *, drop: str = "", reshape: str = "") -> None:
    """Take a tensor out of a safetensors file, or give one another shape."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(file)
    if drop:
        del tensors[drop]
    if reshape:
        tensors[reshape] = tensors[reshape].flatten()[:1].clone()
    save_file(tensors, file, metadata={"format": "pt"})


def truncate(file: Path, share: float = 0.5) -> None:
    """Cut the end of a file off."""
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
