"""Random LoRAs for a model's layers, and the layouts in which files have them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor, nn


class Factors(NamedTuple):
    """The change alpha / rank · up·down of one layer."""

    down: Tensor
    up: Tensor
    alpha: float

    @property
    def scale(self) -> float:
        """What up·down is multiplied by."""
        return self.alpha / self.down.shape[0]


Loras = Mapping[tuple[str, str], Factors]
"""By part and layer, which are named as in diffusers and transformers."""
Spelling = Callable[[str, str], str]
"""A file's name for a part's layer."""


def random_lora(
    networks: Mapping[str, nn.Module],
    wanted: Callable[[str, str], bool] = lambda part, name: True,
    *,
    rank: int = 3,
    alpha: float | None = None,
    seed: int = 0,
    size: float = 0.1,
) -> dict[tuple[str, str], Factors]:
    """Factors for the linear layers and convolutions of some networks.

    Args:
        networks: by part.
        wanted: whether a layer of a part is changed.
        rank: of every layer.
        alpha: of every layer; None for the rank.
        seed: of the factors.
        size: standard deviation of the entries of up·down, in units of 1 / √inputs.
    """
    generator, found = torch.Generator().manual_seed(seed), {}
    for part, network in networks.items():
        for name, layer in network.named_modules():
            if not isinstance(layer, nn.Linear | nn.Conv2d) or not wanted(part, name):
                continue
            outputs, *inputs = layer.weight.shape
            ones = [1] * (layer.weight.ndim - 2)
            down = torch.randn((rank, *inputs), generator=generator) / down_norm(inputs)
            up = torch.randn((outputs, rank, *ones), generator=generator) * size / rank**0.5
            found[part, name] = Factors(down, up, rank if alpha is None else alpha)
    return found


def down_norm(inputs: Iterable[int]) -> float:
    """The square root of the number of inputs of one output."""
    return float(torch.tensor(list(inputs)).prod()) ** 0.5


def write(path: Path, tensors: Mapping[str, Tensor], **metadata: str) -> Path:
    """A safetensors file."""
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata=metadata or None)
    return path


def kohya(lora: Loras, spelled: Spelling) -> dict[str, Tensor]:
    """``lora_down``, ``lora_up`` and ``alpha`` of each layer, under the name that ``spelled`` gives it."""
    tensors = {}
    for place, (down, up, alpha) in lora.items():
        name = spelled(*place)
        tensors |= {
            f"{name}.lora_down.weight": down,
            f"{name}.lora_up.weight": up,
            f"{name}.alpha": torch.tensor(alpha),
        }
    return tensors


def peft(lora: Loras, spelled: Spelling = lambda part, name: f"base_model.model.{name}") -> dict[str, Tensor]:
    """``lora_A`` and ``lora_B`` of each layer; alpha is in the settings."""
    tensors = {}
    for place, (down, up, _) in lora.items():
        tensors |= {f"{spelled(*place)}.lora_A.weight": down, f"{spelled(*place)}.lora_B.weight": up}
    return tensors


def diffusers(lora: Loras) -> dict[str, Tensor]:
    """As diffusers saves them: the part comes before the layer's name, and a text encoder's root is always there."""
    return peft(lora, dotted)


def dotted(part: str, name: str) -> str:
    """A layer's name in diffusers' files."""
    return f"{part}.{rooted(part, name)}"


def underscored(start: str) -> Spelling:
    """A layer's name in kohya's files, with this before it."""
    return lambda part, name: start + rooted(part, name).replace(".", "_")


def rooted(part: str, name: str) -> str:
    """A layer's name with ``text_model`` before those of CLIP, as in all files."""
    clip = part.startswith("text_encoder") and name.startswith("encoder.layers")
    return f"text_model.{name}" if clip else name


def merge(networks: Mapping[str, Any], lora: Loras, weight: float = 1.0) -> None:
    """Adds weight · alpha / rank · up·down to each layer's weight, in float64: the definition of a LoRA."""
    for (part, name), factors in lora.items():
        layer = networks[part].get_submodule(name)
        change = factors.up.double().flatten(1) @ factors.down.double().flatten(1)
        changed = layer.weight.data.double() + weight * factors.scale * change.view(layer.weight.shape)
        layer.weight.data = changed.to(layer.weight.dtype)
