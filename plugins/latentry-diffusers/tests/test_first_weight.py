"""A network's dtype and device, read from one weight: what diffusers itself says, without its walk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from support.bare import BARE
from torch import nn

from latentry_diffusers.loading.first_weight import FirstWeight

DIFFUSERS = [name for name in BARE if BARE[name]().part]


def named(name: str) -> Any:
    return BARE[name]().network


@pytest.mark.parametrize("name", DIFFUSERS)
def test_it_says_what_diffusers_says_whatever_becomes_of_the_network(name: str) -> None:
    network = named(name)
    weight = FirstWeight(network)
    changes: list[Callable[[], Any]] = [
        lambda: network,
        lambda: network.to(torch.bfloat16),
        lambda: network.to(torch.float64),
        lambda: network.to("meta"),
    ]
    for change in changes:
        change()
        assert (weight.dtype, weight.device) == (network.dtype, network.device)


@pytest.mark.parametrize("name", DIFFUSERS)
def test_weights_that_are_stored_narrower_than_they_compute(name: str) -> None:
    """diffusers' ``enable_layerwise_casting``, which a host may switch on for a network in half precision."""
    network = named(name).to(torch.bfloat16)
    weight = FirstWeight(network)
    network.enable_layerwise_casting(torch.float8_e4m3fn, torch.bfloat16)
    assert any(parameter.dtype == torch.float8_e4m3fn for parameter in network.parameters())
    assert weight.dtype == network.dtype == torch.bfloat16


def test_tensors_that_are_put_in_the_place_of_others_are_seen() -> None:
    network: Any = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
    weight = FirstWeight(network)
    network[0]._parameters["weight"] = torch.zeros(3, 2, dtype=torch.float16, device="meta")
    assert (weight.dtype, weight.device.type) == (torch.float16, "meta")


def test_integers_and_parts_that_stay_in_float32_do_not_count() -> None:
    class Network(nn.Module):
        _keep_in_fp32_modules = ("first",)

        def __init__(self) -> None:
            super().__init__()
            self.packed = nn.Parameter(torch.zeros(2, dtype=torch.int8), requires_grad=False)
            self.first, self.second = nn.Linear(1, 1), nn.Linear(1, 1, dtype=torch.float16)

    assert FirstWeight(Network()).dtype == torch.float16
