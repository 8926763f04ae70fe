"""Finding the LoRAs of a request and matching them with the model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from latentry._contract._lora import ChosenLoras, LoraMatch, LoraMode, LoraRequest
from latentry._contract._model import Checkpoint
from latentry._discovery import plugin_call
from latentry._errors import OptionError


def choose_loras(loras: Sequence[LoraRequest], mode: LoraMode, checkpoint: Checkpoint) -> ChosenLoras:
    """Finds the LoRAs of a request and matches them with a checkpoint, without reading its weights.

    Raises:
        OptionError: there is no such file, or its weight cannot change over the run.
        ModelError, IncompatibleError: see ``Checkpoint.match_loras``.
    """
    if not loras:
        return ChosenLoras(mode=mode)
    paths = [Path(lora.path).expanduser() for lora in loras]
    for path in paths:
        if not path.exists():
            raise OptionError(
                f"There is no LoRA file {path}.", remedy="Give the path of a safetensors file.", field="loras"
            )
    with plugin_call(checkpoint):
        matches = checkpoint.match_loras([path.resolve() for path in paths])
    for lora, match in zip(loras, matches, strict=True):
        if lora.curve is not None:
            _check_curve(match, mode)
    found = tuple(lora.model_copy(update={"path": str(match.path)}) for lora, match in zip(loras, matches, strict=True))
    return ChosenLoras(found, mode, matches, tuple(match.digest for match in matches))


def _check_curve(match: LoraMatch, mode: LoraMode) -> None:
    """Refuses a weight that changes over the run where it cannot."""
    if mode == "merged":
        why, remedy = (
            "It is merged into the weights once, before the run.",
            "Use lora_mode=unmerged, or a number.",
        )
    elif all(part.startswith("text_encoder") for part in match.parts):
        why, remedy = "It changes text encoders alone, which are run once, before the first step.", "Use a number."
    elif not match.varies:
        parts = " and ".join(match.parts)
        why, remedy = f"The model's family computes LoRAs on {parts} with one weight.", "Use a number."
    else:
        return
    raise OptionError(
        f"The weight of the LoRA {match.path.name} cannot change over the run.", why=why, remedy=remedy, field="loras"
    )
