"""Finding the LoRAs of a request and matching them with the model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from latentry._contract._lora import ChosenLoras, LoraMode, LoraRequest
from latentry._contract._model import Checkpoint
from latentry._discovery import plugin_call
from latentry._errors import OptionError


def choose_loras(loras: Sequence[LoraRequest], mode: LoraMode, checkpoint: Checkpoint) -> ChosenLoras:
    """Finds the LoRAs of a request and matches them with a checkpoint, without reading its weights.

    Raises:
        OptionError: there is no such file.
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
    found = tuple(lora.model_copy(update={"path": str(match.path)}) for lora, match in zip(loras, matches, strict=True))
    return ChosenLoras(found, mode, matches, tuple(match.digest for match in matches))
