"""The networks of every variant at full size, without allocating memory."""

from __future__ import annotations

import pytest
import torch

from latentry import PluginHost
from latentry_sd.variants import UNETS, VAE, build

SPEC = PluginHost(load=("latentry", "latentry-sd")).families["sd"]
MASK = 5 * 3 * 3 * 320
"""What five more channels, of mask and masked picture, add to a first layer."""
UNET = {
    "sd15": 859_520_964,
    "sd15-inpainting": 859_535_364,
    "sd21-base": 865_910_724,
    "sd21": 865_910_724,
    "sd2-inpainting": 865_910_724 + MASK,
    "sd-turbo": 865_910_724,
}
"""Number of parameters in the published weights."""
TEXT = {"sd15": 123_060_480, "sd2": 340_387_840}


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_every_variant_has_its_networks() -> None:
    assert set(UNETS) == {variant.name for variant in SPEC.variants}


@pytest.mark.slow
@pytest.mark.parametrize("variant", UNET)
def test_the_networks_have_the_published_number_of_parameters(variant: str) -> None:
    with torch.device("meta"):
        networks = build(variant)
    assert {name: count(network) for name, network in networks.items()} == {
        "unet": UNET[variant],
        "vae": 83_653_863,
        "text_encoder": TEXT["sd15" if variant.startswith("sd15") else "sd2"],
    }


def test_the_declared_size_is_the_networks() -> None:
    factor = 2 ** (len(VAE["block_out_channels"]) - 1)
    assert {v.name: v.size for v in SPEC.variants} == {name: c["sample_size"] * factor for name, c in UNETS.items()}


def test_inpainting_networks_are_for_that_alone_and_turbo_for_no_guidance() -> None:
    for variant in SPEC.variants:
        masked = UNETS[variant.name]["in_channels"] == 9
        assert variant.tasks == (("inpainting",) if masked else ("text-to-image", "image-to-image"))
        assert (variant.schedulers[0] == "latentry-ddpm:ddpm") == masked
        assert (variant.guidance_kind == "none") == (variant.name == "sd-turbo")
