"""Networks run in inference mode where no gradients are asked for; what comes out of them is normal either way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from latentry._generate._kept._prompt_cache import PromptCache
from latentry._guidance._encoded_prompt import EncodedPrompt
from latentry._guidance._evaluate import COND, UNCOND, BatchEvaluate
from latentry._numerics._processes._flow import Flow
from latentry.models import Conditioning, PromptSettings


class Network:
    """Multiplies; notes in which mode it runs."""

    dtype = torch.float32

    def __init__(self) -> None:
        self.networks: dict[str, Any] = {}
        self.weight = torch.full((), 3.0, requires_grad=True)
        self.modes: list[tuple[bool, bool]] = []

    def encode_prompt(self, prompts: Sequence[str], settings: PromptSettings) -> Conditioning:
        self._note()
        return Conditioning({"text": torch.ones(len(prompts), 2) * self.weight})

    def predict(self, x: Tensor, timestep: float, conditioning: Conditioning, *, skip_layers: Any = ()) -> Tensor:
        self._note()
        return x * self.weight

    def _note(self) -> None:
        self.modes.append((torch.is_inference_mode_enabled(), torch.is_grad_enabled()))


def evaluated(network: Any) -> tuple[Tensor, ...]:
    """Both branches, of two pictures with prompts of different lengths: in two calls."""
    rows = [EncodedPrompt((Conditioning({"text": torch.ones(1, length)}),)) for length in (2, 3)]
    query = Flow().at(timestep=500.0).query(torch.ones(2, 1, 2, 2))
    return BatchEvaluate(network, rows, rows)(query, UNCOND, COND)


def test_networks_run_in_inference_mode_and_give_normal_tensors() -> None:
    network: Any = Network()
    with torch.no_grad():
        outputs = evaluated(network)
        encoded = PromptCache(network)("a", PromptSettings(8, 8))
    assert network.modes == [(True, False)] * 3
    assert not any(tensor.is_inference() for tensor in (*outputs, encoded["text"]))
    assert all(torch.equal(output, torch.full((2, 1, 2, 2), 3.0)) for output in outputs)


def test_one_call_for_all_gives_normal_tensors_too() -> None:
    network: Any = Network()
    alike = [EncodedPrompt((Conditioning({"text": torch.ones(1, 2)}),))]
    with torch.no_grad():
        (output,) = BatchEvaluate(network, alike, [])(Flow().at(timestep=500.0).query(torch.ones(1, 1, 2, 2)), COND)
    assert network.modes == [(True, False)]
    assert not output.is_inference()


def test_gradients_flow_where_they_are_enabled() -> None:
    """As guidance by gradients needs them."""
    network: Any = Network()
    with torch.no_grad(), torch.enable_grad():
        outputs = evaluated(network)
    assert network.modes == [(False, True)] * 2
    torch.stack([output.sum() for output in outputs]).sum().backward()
    assert network.weight.grad == 16.0
