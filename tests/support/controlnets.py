"""ControlNets of random weights for the tiny models, whose outputs are not zero, and pictures to steer by."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

EMBEDDING = (16, 24, 32)
"""Widths of the picture's embedding: one quarter of its size, as latents of the tiny autoencoders are."""
IMAGE_WIDTH = 24
"""Of what image encoders give."""
SHARED = (
    *("block_out_channels", "layers_per_block", "down_block_types", "transformer_layers_per_block", "norm_num_groups"),
    *("cross_attention_dim", "attention_head_dim", "use_linear_projection", "addition_embed_type"),
    *("addition_time_embed_dim", "projection_class_embeddings_input_dim"),
)


def write_controlnet(folder: Path, model: Path, *, seed: int = 3, union: int | None = None, **settings: Any) -> Path:
    """Write a ControlNet for a tiny model with a UNet as a diffusers folder.

    Args:
        folder: to be made.
        model: folder of the model.
        seed: of the weights.
        union: how many control types a Union network has.
        settings: further ones of its configuration.
    """
    import diffusers

    config = json.loads((model / "unet" / "config.json").read_text())
    shared: dict[str, Any] = {name: config[name] for name in SHARED if config.get(name) is not None}
    shared |= {"conditioning_embedding_out_channels": EMBEDDING, **settings}
    if union is None:
        return _written(diffusers.ControlNetModel, folder, seed, shared)
    width = config["block_out_channels"][0]
    types = {"num_control_type": union, "num_trans_channel": width, "num_trans_head": 4, "num_proj_channel": width}
    return _written(diffusers.ControlNetUnionModel, folder, seed, shared | types)


def write_sd3_controlnet(folder: Path, model: Path, *, seed: int = 3, layers: int = 2, **settings: Any) -> Path:
    """Write a ControlNet for a tiny SD3 as a diffusers folder."""
    import diffusers

    config = json.loads((model / "transformer" / "config.json").read_text())
    names = (
        *("sample_size", "patch_size", "in_channels", "attention_head_dim", "num_attention_heads", "out_channels"),
        *("joint_attention_dim", "caption_projection_dim", "pooled_projection_dim", "pos_embed_max_size", "qk_norm"),
    )
    shared = {name: config[name] for name in names if name in config}
    return _written(diffusers.SD3ControlNetModel, folder, seed, {**shared, "num_layers": layers, **settings})


def write_flux_controlnet(folder: Path, model: Path, *, seed: int = 3, **settings: Any) -> Path:
    """Write a ControlNet for a tiny FLUX.1 as a diffusers folder."""
    import diffusers

    config = json.loads((model / "transformer" / "config.json").read_text())
    names = (
        *("in_channels", "attention_head_dim", "num_attention_heads", "joint_attention_dim", "pooled_projection_dim"),
        *("axes_dims_rope", "guidance_embeds"),
    )
    shared = {name: config[name] for name in names if name in config}
    blocks = {"num_layers": 1, "num_single_layers": 1}
    return _written(diffusers.FluxControlNetModel, folder, seed, {**shared, **blocks, **settings})


def _written(kind: Any, folder: Path, seed: int, settings: dict[str, Any]) -> Path:
    """Layers that begin at zero get weights too."""
    import torch

    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        network = kind(**settings)
        for weight in network.parameters():
            if not weight.any() and weight.ndim > 1:
                torch.nn.init.normal_(weight, std=0.1)
    network.save_pretrained(folder)
    return folder


def outlines(seed: int = 4, side: int = 64) -> Image.Image:
    """A picture of white rectangles' outlines on black."""
    rng = np.random.default_rng(seed)
    levels = np.zeros((side, side, 3), dtype=np.uint8)
    for _ in range(3):
        (top, left), (high, wide) = rng.integers(2, side // 2, 2), rng.integers(8, side // 2, 2)
        levels[top : top + high, left : left + wide] = 255
        levels[top + 2 : top + high - 2, left + 2 : left + wide - 2] = 0
    return Image.fromarray(levels)


def write_t2i_adapter(folder: Path, model: Path, *, seed: int = 3, **settings: Any) -> Path:
    """Write a T2I-Adapter for a tiny model with a UNet as a diffusers folder."""
    import diffusers

    widths = list(json.loads((model / "unet" / "config.json").read_text())["block_out_channels"])
    shared = {"channels": widths, "num_res_blocks": 2, "downscale_factor": 4, "adapter_type": "full_adapter"}
    return _written(diffusers.T2IAdapter, folder, seed, {**shared, **settings})


def attending_first(model: Path, *, seed: int = 9) -> Path:
    """Give a tiny Stable Diffusion a UNet whose first block attends and whose last does not, as published ones have."""
    import diffusers
    import torch

    config = json.loads((model / "unet" / "config.json").read_text())
    config |= {"down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D")}
    config |= {"up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D")}
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        unet: Any = diffusers.UNet2DConditionModel.from_config(config)
        unet.save_pretrained(model / "unet")
    return model


def write_ip_adapter(folder: Path, model: Path, *, seed: int = 3, tokens: int = 4) -> Path:
    """Write an IP-Adapter for a tiny model with a UNet, and its image encoder beside it; gives the adapter's file."""
    import diffusers
    import torch
    from safetensors.torch import save_file

    unet: Any = diffusers.UNet2DConditionModel.from_pretrained(model / "unet", local_files_only=True)
    width, inside = unet.config.cross_attention_dim, IMAGE_WIDTH
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        write_image_encoder(folder / "image_encoder", inside)
        state = {
            "image_proj.proj.weight": torch.randn(tokens * width, inside) * 0.2,
            "image_proj.proj.bias": torch.randn(tokens * width) * 0.2,
            "image_proj.norm.weight": torch.rand(width) + 0.5,
            "image_proj.norm.bias": torch.randn(width) * 0.2,
        }
        layers = [name for name in unet.attn_processors if name.endswith("attn2.processor")]
        for number, name in enumerate(layers):
            out = unet.get_submodule(name.removesuffix(".processor")).to_k.out_features
            for part in "kv":
                state[f"ip_adapter.{2 * number + 1}.to_{part}_ip.weight"] = torch.randn(out, width) * 0.3
    save_file(state, folder / "ip-adapter.safetensors")
    return folder / "ip-adapter.safetensors"


def write_flux_ip_adapter(folder: Path, model: Path, *, seed: int = 3, tokens: int = 4) -> Path:
    """Write an IP-Adapter in XLabs' layout for a tiny FLUX.1, and its image encoder; gives the adapter's file."""
    import torch
    from safetensors.torch import save_file

    config = json.loads((model / "transformer" / "config.json").read_text())
    width, out = config["joint_attention_dim"], config["attention_head_dim"] * config["num_attention_heads"]
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        write_image_encoder(folder / "image_encoder", IMAGE_WIDTH)
        state = {
            "ip_adapter_proj_model.proj.weight": torch.randn(tokens * width, IMAGE_WIDTH) * 0.2,
            "ip_adapter_proj_model.proj.bias": torch.randn(tokens * width) * 0.2,
            "ip_adapter_proj_model.norm.weight": torch.rand(width) + 0.5,
            "ip_adapter_proj_model.norm.bias": torch.randn(width) * 0.2,
        }
        for number in range(config["num_layers"]):
            for part in "kv":
                name = f"double_blocks.{number}.processor.ip_adapter_double_stream_{part}_proj"
                state |= {f"{name}.weight": torch.randn(out, width) * 0.3, f"{name}.bias": torch.randn(out) * 0.3}
    save_file(state, folder / "ip-adapter.safetensors")
    return folder / "ip-adapter.safetensors"


def write_image_encoder(folder: Path, width: int) -> None:
    """Write a tiny CLIP for pictures of 32 × 32 pixels."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    config = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=32,
        patch_size=8,
        projection_dim=width,
    )
    CLIPVisionModelWithProjection(config).save_pretrained(folder)


def write_sd3_ip_adapter(folder: Path, model: Path, *, seed: int = 3, original: bool = True) -> Path:
    """Write an IP-Adapter in InstantX's layout for a tiny SD3, and its image encoder; gives the adapter's file.

    Args:
        folder: to be made.
        model: folder of the model.
        seed: of the weights.
        original: with InstantX's names, and not with diffusers'.
    """
    import torch
    from diffusers.models.attention_processor import SD3IPAdapterJointAttnProcessor2_0
    from diffusers.models.embeddings import IPAdapterTimeImageProjection
    from safetensors.torch import save_file
    from transformers import SiglipVisionConfig, SiglipVisionModel

    config = json.loads((model / "transformer" / "config.json").read_text())
    head, inside = config["attention_head_dim"], 64
    width = head * config["num_attention_heads"]
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        seen: Any = SiglipVisionConfig(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            image_size=32,
            patch_size=8,
        )
        SiglipVisionModel(seen).save_pretrained(folder / "image_encoder")
        projection = IPAdapterTimeImageProjection(
            embed_dim=32, output_dim=width, hidden_dim=inside, heads=1, num_queries=4, timestep_in_dim=32
        )
        layers = [SD3IPAdapterJointAttnProcessor2_0(width, width, head, inside) for _ in range(config["num_layers"])]
        state = {f"image_proj.{name}": tensor for name, tensor in projection.state_dict().items()}
        for number, layer in enumerate(layers):
            for name, tensor in layer.state_dict().items():
                norm = name in ("norm_q.weight", "norm_k.weight", "norm_ip_k.weight")
                state[f"ip_adapter.{number}.{name}"] = torch.rand_like(tensor) + 0.5 if norm else tensor
    if original:
        state = {_instantx(name): tensor for name, tensor in state.items()}
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "ip-adapter.safetensors")
    return folder / "ip-adapter.safetensors"


def _instantx(name: str) -> str:
    """The name that a tensor of the projection has in the published file."""
    places = (
        *((".ln0.", ".0.norm1."), (".ln1.", ".0.norm2."), (".attn.to_out.0.", ".0.to_out."), (".attn.", ".0.")),
        *((".adaln_norm.", ".1.0."), (".ff.net.0.proj.", ".1.1."), (".ff.net.2.", ".1.3."), (".adaln_proj.", ".2.1.")),
    )
    for theirs, published in places:
        if name.startswith("image_proj.layers.") and theirs in name:
            return name.replace(theirs, published)
    return name
