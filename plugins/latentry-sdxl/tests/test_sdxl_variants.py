"""The networks at full size, without allocating memory."""

from __future__ import annotations

import pytest
import torch

from latentry_sdxl.variants import UNETS, build

UNET = {
    "base": 2_567_463_684,
    "refiner": 2_259_526_660,
    "inpainting": 2_567_463_684 + 5 * 320 * 9,
    "turbo": 2_567_463_684,
}
"""Parameters as published; inpainting shows the first convolution, 320 filters of 3×3, five more channels."""
SHARED = {"vae": 83_653_863, "text_encoder": 123_060_480, "text_encoder_2": 694_659_840}


@pytest.mark.slow
@pytest.mark.parametrize("variant", UNETS)
def test_every_variant_has_the_published_number_of_parameters(variant: str) -> None:
    with torch.device("meta"):
        networks = build(variant)
    counts = {part: sum(p.numel() for p in network.parameters()) for part, network in networks.items()}
    expected = {**SHARED, "unet": UNET[variant]}
    if variant == "refiner":
        del expected["text_encoder"]
    assert counts == expected


@pytest.mark.slow
@pytest.mark.parametrize("variant", UNETS)
def test_the_parts_fit_one_another(variant: str) -> None:
    with torch.device("meta"):
        networks = build(variant)
    unet = networks["unet"].config
    texts = [network for part, network in networks.items() if part.startswith("text")]
    assert unet.cross_attention_dim == sum(network.config.hidden_size for network in texts)
    told = unet.projection_class_embeddings_input_dim - texts[-1].config.projection_dim
    assert told == (5 if variant == "refiner" else 6) * unet.addition_time_embed_dim
