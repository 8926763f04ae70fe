"""What an adapter holds and which model it seems to be for, in words."""

from __future__ import annotations

from collections.abc import Sequence

from latentry_diffusers.lora._reading._file import FileLayer, LoraFile
from latentry_diffusers.recognise.adapter_keys import XLABS
from latentry_diffusers.recognise.adapters import adapter

SHOWN = 3
"""How many names a message lists."""


def described(file: LoraFile) -> str:
    """What is in the file, in one sentence."""
    count, ranks = len(file.layers), sorted({layer.made.rank for layer in file.layers if layer.made.rank})
    layers = "one layer" if count == 1 else f"{count} layers"
    rank = "" if not ranks else f" of rank {ranks[0]}" if len(ranks) == 1 else f" of rank {ranks[0]} to {ranks[-1]}"
    kinds = " and ".join(dict.fromkeys(_kind(layer) for layer in file.layers))
    found = adapter(file.weights)
    if found is None or found.base is None:
        guess = "nothing in it shows which model it is for"
    else:
        guess = f"it seems to be for {found.base.label}"
    return (
        f"It holds {layers}{rank} ({kinds}, in {_layout(file)} layout), such as "
        f"{listed([layer.name for layer in file.layers])}; {guess}."
    )


def listed(names: Sequence[str]) -> str:
    """Lists the first few names, for a message."""
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")


def _kind(layer: FileLayer) -> str:
    if layer.kind == "difference":
        return "a difference of the weights"
    if layer.decomposed:
        return "DoRA" if layer.kind == "LoRA" else f"{layer.kind} with DoRA's magnitudes"
    return layer.kind


def _layout(file: LoraFile) -> str:
    key = next(iter(file.layers[0].keys.values()))
    if XLABS.search(key):
        return "XLabs'"
    if key.startswith("base_model."):
        return "PEFT's"
    if key.startswith(("lora_", "lycoris_")) or "lora_down" in key:
        return "kohya's"
    return "diffusers'" if "lora" in key else "LyCORIS'"
