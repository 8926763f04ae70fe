"""Adapters made by PEFT: random ones of every kind that it and we have, to be run there and saved for us."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from peft import LoHaConfig, LoKrConfig, LoraConfig, OFTConfig, PeftModel, get_peft_model
from peft.utils import get_peft_model_state_dict
from torch import Tensor, nn

RANK, ALPHA = 2, 3
ROOT = "base_model.model."

CONFIGS: Mapping[str, Callable[[Sequence[str]], Any]] = {
    "LoRA": lambda layers: LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=layers, init_lora_weights=False),
    "LoRA, rank-stabilised": lambda layers: LoraConfig(
        r=RANK, lora_alpha=ALPHA, target_modules=layers, init_lora_weights=False, use_rslora=True
    ),
    "LoRA with biases": lambda layers: LoraConfig(
        r=RANK, lora_alpha=ALPHA, target_modules=layers, init_lora_weights=False, lora_bias=True
    ),
    "DoRA": lambda layers: LoraConfig(
        r=RANK, lora_alpha=ALPHA, target_modules=layers, init_lora_weights=False, use_dora=True
    ),
    "LoHa": lambda layers: LoHaConfig(r=RANK, alpha=ALPHA, target_modules=layers, init_weights=False),
    "LoHa, Tucker": lambda layers: LoHaConfig(
        r=RANK, alpha=ALPHA, target_modules=layers, init_weights=False, use_effective_conv2d=True
    ),
    "LoKr": lambda layers: LoKrConfig(
        r=RANK, alpha=ALPHA, target_modules=layers, init_weights=False, decompose_factor=2
    ),
    "LoKr, both factored": lambda layers: LoKrConfig(
        r=1, alpha=ALPHA, target_modules=layers, init_weights=False, decompose_both=True
    ),
    "LoKr, Tucker": lambda layers: LoKrConfig(
        r=1, alpha=ALPHA, target_modules=layers, init_weights=False, use_effective_conv2d=True, decompose_factor=2
    ),
    "LoKr, full matrices": lambda layers: LoKrConfig(r=64, alpha=96, target_modules=layers, init_weights=False),
    "OFT": lambda layers: OFTConfig(oft_block_size=4, r=0, target_modules=layers, init_weights=False),
    "OFT, exact inverse": lambda layers: OFTConfig(
        oft_block_size=4, r=0, target_modules=layers, init_weights=False, use_cayley_neumann=False
    ),
    "OFT, three terms": lambda layers: OFTConfig(
        oft_block_size=4, r=0, target_modules=layers, init_weights=False, num_cayley_neumann_terms=3
    ),
    "OFT, one block": lambda layers: OFTConfig(
        oft_block_size=4, r=0, target_modules=layers, init_weights=False, block_share=True
    ),
    "OFT, constrained": lambda layers: OFTConfig(
        oft_block_size=4, r=0, target_modules=layers, init_weights=False, coft=True, eps=0.3
    ),
}
"""PEFT's configuration of each kind and variant, for layers by name."""


def with_adapter(network: nn.Module, kind: str, layers: Sequence[str] | None = None, *, seed: int = 0) -> PeftModel:
    """A copy of a network that wears a random adapter.

    Args:
        network: stays as it is.
        kind: of ``CONFIGS``.
        layers: by name; None for all linear layers and convolutions.
        seed: of the adapter's values.
    """
    if layers is None:
        layers = [name for name, layer in network.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    with torch.random.fork_rng(devices=()), quiet():
        torch.manual_seed(seed)
        model = get_peft_model(deepcopy(network), CONFIGS[kind](list(layers)))
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "lora_magnitude_vector" in name:  # else the magnitudes are just the norms
                    parameter *= 1 + 0.2 * torch.randn(parameter.shape)
    return model.eval()


def set_weight(model: PeftModel, weight: float, adapter: str = "default") -> None:
    """How much of the adapter; PEFT cannot scale rotations."""
    modules: list[Any] = list(model.modules())
    for module in modules:
        if weight != 1.0 and hasattr(module, "set_scale"):
            module.set_scale(adapter, weight)


def merged(model: PeftModel) -> nn.Module:
    """The network with the adapter in its weights, by PEFT. The model itself is used up."""
    with quiet():
        network: nn.Module = model.merge_and_unload()
    return network


def save(model: PeftModel, folder: Path) -> Path:
    """As PEFT saves it: tensors and settings."""
    with quiet():
        model.save_pretrained(folder)
    return folder


def lycoris(model: PeftModel, start: str = "lora_unet_") -> dict[str, Tensor]:
    """The adapter as kohya and LyCORIS save it: underscores, alpha with each layer, magnitudes in the weight's shape.

    Not for OFT, whose rotations are others there.
    """
    with quiet():
        tensors = get_peft_model_state_dict(model)
    names = {"lora_A.weight": "lora_down.weight", "lora_B.weight": "lora_up.weight"}
    found: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        layer, slot = _split(key.removeprefix(ROOT))
        base: Any = model.base_model.model
        module: Any = base.get_submodule(layer)
        name, scale = start + layer.replace(".", "_"), module.scaling["default"]
        found[f"{name}.alpha"] = torch.tensor(scale * module.r["default"])
        if slot == "lora_magnitude_vector":
            found[f"{name}.dora_scale"] = tensor.reshape(-1, *[1] * (module.weight.ndim - 1))
        elif slot == "lokr_w1" and key.replace("w1", "w2") in tensors:
            found[f"{name}.{slot}"] = tensor * scale  # two full matrices have no rank, and no alpha applies to them
        else:
            found[f"{name}.{names.get(slot, slot)}"] = tensor
    return found


def _split(key: str) -> tuple[str, str]:
    layer, _, slot = key.rpartition(".")
    if slot == "weight":
        layer, _, factor = layer.rpartition(".")
        return layer, f"{factor}.weight"
    return layer, slot


@contextmanager
def quiet() -> Iterator[None]:
    """PEFT warns of much that is meant here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Small(nn.Module):
    """Linear layers and convolutions with and without biases, strides and padding."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv_in = nn.Conv2d(4, 8, 3, stride=2, padding=1)
        self.wide = nn.Conv2d(8, 12, 3, padding=1, bias=False)
        self.one = nn.Conv2d(12, 8, 1)
        self.linear = nn.Linear(8, 12, bias=False)
        self.out = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 4, height, width) to (batch, h, w, 4)."""
        x = self.one(self.wide(self.conv_in(x).relu()))
        out: Tensor = self.out(self.linear(x.permute(0, 2, 3, 1)).tanh())
        return out


@torch.no_grad()
def run(network: Any) -> Tensor:
    """What a network makes of a picture."""
    dtype = next(iter(network.parameters())).dtype
    x: Tensor = network(torch.randn((2, 4, 12, 10), generator=torch.Generator().manual_seed(3)).to(dtype))
    return x
