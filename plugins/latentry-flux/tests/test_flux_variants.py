"""The published configurations describe the published networks."""

from __future__ import annotations

import pytest
import torch

from latentry import PluginHost
from latentry_flux.variants import TRANSFORMERS, build

COUNTS = {"dev": 11_901_408_320, "schnell": 11_891_178_560, "fill": 11_902_391_360}
COUNTS |= dict.fromkeys(("canny", "depth"), 11_901_408_320 + 64 * 3072)
"""Parameters of the published transformers."""
PARTS = {"vae": 83_819_683, "text_encoder": 123_060_480, "text_encoder_2": 4_762_310_656}
"""Parameters of the published parts that all variants share."""


def test_every_variant_has_its_configurations() -> None:
    family = PluginHost(load=("latentry", "latentry-flux")).families["flux"]
    assert {variant.name for variant in family.variants} == set(TRANSFORMERS) == set(COUNTS)


@pytest.mark.slow
@pytest.mark.parametrize("variant", COUNTS)
def test_the_networks_are_as_large_as_those_published(variant: str) -> None:
    with torch.device("meta"):
        networks = build(variant)
    counts = {part: sum(p.numel() for p in network.parameters()) for part, network in networks.items()}
    assert counts == {"transformer": COUNTS[variant], **PARTS}


@pytest.mark.slow
@pytest.mark.parametrize("variant", COUNTS)
def test_the_parts_fit_one_another(variant: str) -> None:
    with torch.device("meta"):
        networks = build(variant)
    taken, vae = networks["transformer"].config, networks["vae"].config
    assert taken.joint_attention_dim == networks["text_encoder_2"].config.d_model
    assert taken.pooled_projection_dim == networks["text_encoder"].config.hidden_size
    assert sum(taken.axes_dims_rope) == taken.attention_head_dim
    mask = 8 * 8  # pixels of a latent
    more = {"fill": vae.latent_channels + mask, "canny": vae.latent_channels, "depth": vae.latent_channels}
    assert taken.in_channels == 4 * (vae.latent_channels + more.get(variant, 0))
    assert (taken.out_channels or taken.in_channels) == 4 * vae.latent_channels
