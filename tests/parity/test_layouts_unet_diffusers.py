"""The original layouts of UNets, autoencoders and text encoders at full size, beside diffusers' converters.

Tensors are views of their row numbers, so that full size takes no memory and every row can be told from every other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from diffusers.loaders.single_file_utils import (
    convert_ldm_clip_checkpoint,
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
    convert_open_clip_checkpoint,
)
from torch import Tensor, nn

from latentry_diffusers.layouts import Pair, backward, forward
from latentry_diffusers.layouts.clip import clip_pairs, open_clip_pairs
from latentry_diffusers.layouts.unet import unet_pairs
from latentry_diffusers.layouts.vae import vae_pairs
from latentry_flux import variants as flux
from latentry_sd import variants as sd
from latentry_sdxl import variants as sdxl
from latentry_shapes.designs.sd import StableDiffusion
from latentry_shapes.designs.sdxl import StableDiffusionXL

BUILDERS: Mapping[str, Callable[[str], dict[str, Any]]] = {
    **dict.fromkeys(sd.UNETS, sd.build),
    **dict.fromkeys(sdxl.UNETS, sdxl.build),
}
UNET, VAE = "model.diffusion_model.", "first_stage_model."
CLIP = "cond_stage_model.transformer."
OPEN_CLIP = {"text_encoder": "cond_stage_model.model.", "text_encoder_2": "conditioner.embedders.1.model."}
"""Below the first of which diffusers skips the last layer of Stable Diffusion 2."""
Tensors = dict[str, Tensor]


def numbered(pairs: tuple[Pair, ...], network: nn.Module, prefix: str) -> tuple[Tensors, Tensors]:
    """The network's tensors here and there."""
    here: Tensors = {}
    for index, (name, tensor) in enumerate(network.state_dict().items()):
        rows = torch.arange(tensor.shape[0], dtype=torch.float64) + 1_000_000 * index
        here[name] = rows.reshape(-1, *(1 for _ in tensor.shape[1:])).expand(tensor.shape)
    there: Tensors = {}
    for pair in pairs:  # a stack of views has only its rows, and the last column, as a view again
        cut = {name: here[name] if len(pair.diffusers) == 1 else here[name].select(-1, 0) for name in pair.diffusers}
        if len(pair.diffusers) > 1 and here[pair.diffusers[0]].ndim > 1:
            whole = backward(pair, cut)
            there[prefix + pair.original] = whole[:, None].expand(-1, here[pair.diffusers[0]].shape[1])
        else:
            there[prefix + pair.original] = backward(pair, here)
    return here, there


def assert_same(converted: Tensors, here: Tensors) -> None:
    assert converted.keys() == here.keys()
    for name, tensor in here.items():
        assert converted[name].shape == tensor.shape, name
        last = (slice(None), *(0 for _ in tensor.shape[1:]))
        assert torch.equal(converted[name][last], tensor[last]), name


@pytest.fixture(params=BUILDERS, scope="module")
def networks(request: pytest.FixtureRequest) -> dict[str, Any]:
    """A variant's networks at full size."""
    with torch.device("meta"):
        return BUILDERS[request.param](request.param)


def root_of(encoder: nn.Module) -> str:
    return "text_model." if any(name.startswith("text_model.") for name in encoder.state_dict()) else ""


def test_diffusers_reads_the_unet(networks: dict[str, Any]) -> None:
    unet = networks["unet"]
    here, there = numbered(unet_pairs(unet.config), unet, UNET)
    assert_same(convert_ldm_unet_checkpoint(dict(there), unet.config), here)


def test_diffusers_reads_the_text_encoders(networks: dict[str, Any]) -> None:
    for name in sorted(networks.keys() & OPEN_CLIP.keys()):
        encoder = networks[name]
        options = {"root": root_of(encoder), "projected": name == "text_encoder_2"}
        here, there = numbered(clip_pairs(encoder.config.to_dict(), **options), encoder, CLIP)
        read = convert_ldm_clip_checkpoint(there)
        assert_same({key.removeprefix("" if options["root"] else "text_model."): v for key, v in read.items()}, here)


def test_diffusers_reads_open_clip(networks: dict[str, Any]) -> None:
    for name in sorted(networks.keys() & OPEN_CLIP.keys()):
        encoder = networks[name]
        options = {"root": root_of(encoder), "projected": name == "text_encoder_2"}
        here, there = numbered(open_clip_pairs(encoder.config.to_dict(), **options), encoder, OPEN_CLIP[name])
        read = convert_open_clip_checkpoint(encoder, there, prefix=OPEN_CLIP[name])
        assert_same({key.removeprefix("" if options["root"] else "text_model."): v for key, v in read.items()}, here)


@pytest.mark.parametrize("build", [lambda: sd.build("sd15"), lambda: flux.build("dev")], ids=["4", "16"])
def test_diffusers_reads_the_autoencoder(build: Callable[[], dict[str, Any]]) -> None:
    with torch.device("meta"):
        vae = build()["vae"]
    here, there = numbered(vae_pairs(vae.config), vae, VAE)
    assert_same(convert_ldm_vae_checkpoint(there, vae.config), here)


@pytest.mark.parametrize("design", [StableDiffusion(), StableDiffusion(masked=True), StableDiffusionXL()])
def test_the_shipped_unets_go_there_and_back(design: Any) -> None:
    with torch.device("meta"):
        unet = design.denoiser()
    pairs = unet_pairs(unet.config)
    here, there = numbered(pairs, unet, "")
    assert_same({name: t for pair in pairs for name, t in forward(pair, there[pair.original]).items()}, here)
