"""What a LoRA holds and which model it seems to be for, in words."""

from __future__ import annotations

from collections.abc import Sequence

from latentry_diffusers.lora._file import LoraFile
from latentry_diffusers.recognise.adapters import adapter

LAYOUTS = (("lora_down", "kohya's"), ("base_model.", "PEFT's"), ("lora", "diffusers'"))
"""What is in a key, and whose layout has it; the first that fits counts."""
SHOWN = 3


def seems_for(file: LoraFile) -> str | None:
    """The model it was trained for; None where nothing tells."""
    found = adapter(file.weights)
    return None if found is None or found.base is None else found.base.label


def held(file: LoraFile) -> str:
    """What is in the file, in one sentence."""
    count, ranks = len(file.layers), sorted({layer.rank for layer in file.layers})
    layers = "one layer" if count == 1 else f"{count} layers"
    rank = f"{ranks[0]}" if len(ranks) == 1 else f"{ranks[0]} to {ranks[-1]}"
    layout = next(name for mark, name in LAYOUTS if mark in file.layers[0].down)
    model = seems_for(file)
    guess = f"it seems to be for {model}" if model else "nothing in it tells which model it is for"
    return (
        f"It holds {layers} of rank {rank} in {layout} layout, such as "
        f"{named([layer.name for layer in file.layers])}; {guess}."
    )


def named(names: Sequence[str]) -> str:
    """The first few of some names."""
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
