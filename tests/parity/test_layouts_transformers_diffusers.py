"""The original layouts of SD3's and FLUX's transformers, beside diffusers' converters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from diffusers import FluxTransformer2DModel, SD3Transformer2DModel
from diffusers.loaders.single_file_utils import (
    convert_flux_transformer_checkpoint_to_diffusers,
    convert_sd3_transformer_checkpoint_to_diffusers,
)
from torch import Tensor

from latentry_diffusers.layouts import Pair, backward, forward
from latentry_diffusers.layouts.flux import flux_pairs
from latentry_diffusers.layouts.sd3 import sd3_pairs
from latentry_flux.variants import TRANSFORMERS as FLUX
from latentry_sd3.variants import TRANSFORMERS as SD3
from latentry_shapes.designs.flux import Flux
from latentry_shapes.designs.sd3 import StableDiffusion3

SMALL = {
    "num_attention_heads": 4,
    "attention_head_dim": 16,
    "caption_projection_dim": 64,
    "joint_attention_dim": 24,
    "pooled_projection_dim": 40,
    "sample_size": 8,
    "pos_embed_max_size": 8,
    "num_layers": 4,
}
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "medium": {},
    "3.5 large": {"qk_norm": "rms_norm"},
    "3.5 medium": {"qk_norm": "rms_norm", "dual_attention_layers": (0, 1)},
}


def network(variant: str) -> tuple[tuple[Pair, ...], Any]:
    with torch.device("meta"):
        if variant in SD3:
            return sd3_pairs(SD3[variant]), SD3Transformer2DModel(**SD3[variant])
        if variant in FLUX:
            return flux_pairs(FLUX[variant]), FluxTransformer2DModel(**FLUX[variant])
        shipped = (Flux() if variant == "shapes-flux" else StableDiffusion3()).denoiser()
    return (flux_pairs if variant == "shapes-flux" else sd3_pairs)(shipped.config), shipped


def originals(pairs: tuple[Pair, ...], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {pair.original: backward(pair, tensors) for pair in pairs}


def shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


@pytest.mark.parametrize("variant", [*SD3, *FLUX, "shapes-sd3", "shapes-flux"])
def test_every_published_network_goes_there_and_back(variant: str) -> None:
    pairs, built = network(variant)
    there = originals(pairs, built.state_dict())
    back = {name: tensor for pair in pairs for name, tensor in forward(pair, there[pair.original]).items()}
    assert shapes(back) == shapes(built.state_dict())
    assert len(there) == len(pairs)


@pytest.mark.parametrize("variant", [*SD3, *FLUX])
def test_diffusers_takes_what_the_published_networks_are_there(variant: str) -> None:
    pairs, built = network(variant)
    there = originals(pairs, built.state_dict())
    converted = _converter(variant)(there)
    assert not there  # it takes out what it knows
    assert shapes(converted) == shapes(built.state_dict())


@pytest.mark.parametrize("variant", VARIANTS)
def test_stable_diffusion_3_has_every_value_in_its_place(variant: str) -> None:
    built = SD3Transformer2DModel(**SMALL, **VARIANTS[variant])
    drawn = torch.Generator().manual_seed(0)
    values = {name: torch.randn(tensor.shape, generator=drawn) for name, tensor in built.state_dict().items()}
    converted = convert_sd3_transformer_checkpoint_to_diffusers(originals(sd3_pairs(built.config), values))
    assert converted.keys() == values.keys()
    assert all(torch.equal(converted[name], value) for name, value in values.items())


def test_flux_has_every_value_in_its_place() -> None:
    """The converter cuts a matrix at the width of the published networks; rows are numbered, so one column will do."""
    _, built = network("dev")
    shallow = {**FLUX["dev"], "num_layers": 1, "num_single_layers": 1}
    names = {name for pair in flux_pairs(shallow) for name in pair.diffusers}
    values: dict[str, Tensor] = {}
    for number, name in enumerate(sorted(names)):
        rows = built.state_dict()[name].shape[0]
        values[name] = (torch.arange(rows) + number * 100_000).reshape(rows, 1)
    converted = convert_flux_transformer_checkpoint_to_diffusers(originals(flux_pairs(shallow), values))
    assert converted.keys() == names
    assert all(torch.equal(converted[name], value) for name, value in values.items())


def _converter(variant: str) -> Any:
    return (
        convert_sd3_transformer_checkpoint_to_diffusers
        if variant in SD3
        else convert_flux_transformer_checkpoint_to_diffusers
    )
