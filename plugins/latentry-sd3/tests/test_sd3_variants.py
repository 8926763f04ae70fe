"""The published configurations describe the published networks."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from latentry import PluginHost
from latentry_sd3.variants import TRANSFORMERS, build

COUNTS = {
    "sd3-medium": 2_028_328_000,
    "sd35-medium": 2_243_171_520,
    "sd35-large": 8_056_627_520,
    "sd35-large-turbo": 8_056_627_520,
}
"""Parameters of the published transformers."""
PARTS = {
    "vae": 83_819_683,
    "text_encoder": 123_060_480 + 768 * 768,  # CLIP-L and its projection
    "text_encoder_2": 694_659_840,
    "text_encoder_3": 4_762_310_656,
}
"""Parameters of the published parts that all variants share."""


def parameters(network: Any) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_every_variant_has_its_configurations() -> None:
    family = PluginHost(load=("latentry", "latentry-sd3")).families["sd3"]
    assert {variant.name for variant in family.variants} == set(TRANSFORMERS) == set(COUNTS)


@pytest.mark.slow
@pytest.mark.parametrize("variant", COUNTS)
def test_the_networks_are_as_large_as_those_published(variant: str) -> None:
    with torch.device("meta"):
        networks = build(variant)
    assert {part: parameters(network) for part, network in networks.items()} == {
        "transformer": COUNTS[variant],
        **PARTS,
    }


@pytest.mark.slow
@pytest.mark.parametrize("variant", COUNTS)
def test_the_parts_fit_one_another(variant: str) -> None:
    with torch.device("meta"):
        networks = build(variant)
    taken = networks["transformer"].config
    clips = [networks[part].config for part in ("text_encoder", "text_encoder_2")]
    assert taken.joint_attention_dim == networks["text_encoder_3"].config.d_model
    assert taken.pooled_projection_dim == sum(clip.projection_dim for clip in clips)
    assert taken.in_channels == taken.out_channels == networks["vae"].config.latent_channels
