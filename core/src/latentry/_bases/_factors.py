"""The factors in a LoRA's file, in the layouts of PEFT and of diffusers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from latentry._bases._peft import PeftSettings, read_settings, settings_file
from latentry._bases._weights import read_tensors
from latentry._errors import ModelError

KEY = re.compile(r"(?P<peft>base_model\.model\.)?(?P<layer>.+)\.(?P<slot>lora_(?:A|B|down|up)\.weight|alpha)")
SLOTS = {"lora_A": "down", "lora_down": "down", "lora_B": "up", "lora_up": "up", "alpha": "alpha"}


class Factors(NamedTuple):
    """The change up·down of one layer's weight, float32.

    Attributes:
        up: (outputs, rank); alpha / rank is in it.
        down: (rank, inputs), or (rank, inputs, rows, columns) of a convolution.
    """

    up: Tensor
    down: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the weight that it is for."""
        return len(self.up), *self.down.shape[1:]

    def to(self, where: torch.device | torch.dtype) -> Factors:
        """On a device, or in a dtype."""
        return Factors(self.up.to(where), self.down.to(where))


class LoraFile(NamedTuple):
    """What a LoRA's file holds.

    Attributes:
        layers: the factors of each layer, by the file's name for it.
        settings: the second file that scales them, where PEFT wrote one.
        notes: what was assumed.
    """

    layers: Mapping[str, Factors]
    settings: Path | None
    notes: tuple[str, ...]


def read_factors(path: Path) -> LoraFile:
    """The factors, scaled by what the file says or else the ``adapter_config.json`` beside it.

    Raises:
        ModelError: there is no such file, or it is damaged, or holds anything but LoRAs' factors.
    """
    if not path.is_file():
        raise ModelError(f"There is no LoRA {path}.", remedy="Give the path of a safetensors file.", field="loras")
    layers: dict[str, dict[str, Tensor]] = {}
    by_peft = False
    for key, tensor in read_tensors(path).items():
        if (named := KEY.fullmatch(key)) is None:
            raise _unfit(path, f"It holds {key}.")
        if not bool(tensor.isfinite().all()):
            raise _unfit(path, f"{key} holds values that are not finite: NaN or infinity.")
        by_peft |= named["peft"] is not None
        layers.setdefault(named["layer"], {})[SLOTS[named["slot"].removesuffix(".weight")]] = tensor.float()
    if not layers:
        raise _unfit(path, "It is empty.")
    settings = read_settings(path)
    found = {layer: _factors(path, layer, slots, settings or PeftSettings()) for layer, slots in layers.items()}
    assumed = by_peft and settings is None and any("alpha" not in slots for slots in layers.values())
    note = f"{path.name} does not give its alpha, and has no adapter_config.json next to it: alpha = rank is assumed."
    return LoraFile(found, settings_file(path), (note,) if assumed else ())


def _factors(path: Path, layer: str, slots: Mapping[str, Tensor], settings: PeftSettings) -> Factors:
    if lacking := {"up", "down"} - slots.keys():
        raise _unfit(path, f"Of {layer} it lacks the factor {min(lacking)}.")
    up, down, alpha = slots["up"].flatten(1), slots["down"], slots.get("alpha")
    if down.ndim not in (2, 4) or up.shape[1] != len(down) or (alpha is not None and alpha.numel() != 1):
        raise _unfit(
            path, f"The factors of {layer} have the shapes {tuple(slots['up'].shape)} and {tuple(down.shape)}."
        )
    scale = settings.scale(layer, len(down)) if alpha is None else float(alpha) / len(down)
    return Factors(scale * up, down)


def _unfit(path: Path, why: str) -> ModelError:
    return ModelError(
        f"{path} is not a LoRA that this model can read.",
        why=why,
        remedy="Give one that holds only lora_A and lora_B, or lora_down and lora_up, and alpha, of each layer.",
        field="loras",
    )
