"""What PEFT and diffusers write about an adapter apart from its tensors: alpha, and how it is scaled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from latentry import ModelError
from latentry.models import PeftScaling, value_for_layer

KEY = "lora_adapter_metadata"
"""The entry of a file's metadata in which diffusers keeps the settings, each under its part's name."""
FILE = "adapter_config.json"
"""The file next to the adapter in which PEFT keeps the settings."""
ROOT = "base_model.model."
"""What PEFT puts before the name of every layer."""
TYPES = frozenset({"LORA", "LOHA", "LOKR", "OFT"})
"""PEFT's names of the kinds of adapter that run here."""


class PartSettings(PeftScaling):
    """The fields of PEFT's configuration that affect the result, for the adapter of one network.

    Attributes:
        r: the rank.
        alpha: what LoHa and LoKr call ``lora_alpha``.
        rank_pattern: the rank of some layers, named as in ``alpha_pattern``.
        coft: OFT's rotations are kept close to the identity, by ``eps``.
        use_cayley_neumann: OFT's inverse is replaced by ``num_cayley_neumann_terms`` terms of its series.
    """

    r: int | None = None
    alpha: float | None = None
    rank_pattern: Mapping[str, int] | None = None
    coft: bool = False
    eps: float = Field(default=6e-5, gt=0)
    use_cayley_neumann: bool = True
    num_cayley_neumann_terms: int = Field(default=5, ge=1, le=64)

    def alpha_of(self, layer: str) -> float | None:
        """See ``PeftScaling``."""
        own = super().alpha_of(layer)
        return self.alpha if own is None else own

    def scale(self, layer: str, rank: int | None) -> float:
        """See ``PeftScaling``; the rank is None if the tensors do not tell it (LoKr with two full matrices)."""
        if rank is None:
            rank = value_for_layer(self.rank_pattern, layer) or self.r or 1
        return super().scale(layer, rank)


Settings = Mapping[str, PartSettings]
"""Settings by part; PEFT's own files have them under the empty name."""


def settings_of(settings: Settings, layer: str) -> tuple[PartSettings, str]:
    """The settings for a layer in the file's spelling, and the layer's name as they spell it."""
    part, _, rest = layer.partition(".")
    if part in settings:
        return settings[part], rest
    return settings.get("", PartSettings()), layer.removeprefix(ROOT)


def settings_file(file: Path, metadata: Mapping[str, str]) -> Path | None:
    """The settings file next to an adapter; None if the adapter's own metadata has them, or there is none."""
    found = file.with_name(FILE)
    return found if KEY not in metadata and found.is_file() else None


def read_settings(file: Path, metadata: Mapping[str, str]) -> Settings | None:
    """The settings in an adapter's metadata, or in the file next to it; None if there are none.

    Raises:
        ModelError: they cannot be read, or are those of a kind of adapter that does not run here.
    """
    if KEY in metadata:
        text, where = metadata[KEY], f"the entry {KEY} of its metadata"
    elif (found := settings_file(file, metadata)) is not None:
        text, where = found.read_text(encoding="utf-8", errors="replace"), str(found)
    else:
        return None
    try:
        settings = {part: PartSettings(**options) for part, options in _by_part(json.loads(text)).items()}
    except (ValidationError, ValueError, TypeError, RecursionError, AttributeError) as error:
        raise ModelError(
            f"The settings of the LoRA {file} cannot be read.",
            why=f"They are in {where}: {_reason(error)}.",
            remedy="Download the LoRA again, with its settings.",
        ) from error
    for each in settings.values():
        if each.peft_type is not None and each.peft_type.upper() not in TYPES:
            raise ModelError(
                f"{file} holds an adapter of a kind that is not supported.",
                why=f"PEFT calls it {each.peft_type.upper()}, as {where} says.",
                remedy="Use a LoRA, DoRA, LoHa, LoKr or OFT adapter.",
            )
    return settings


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return f"it is not a JSON object ({error})"


def _by_part(options: Mapping[str, Any]) -> Mapping[str, dict[str, Any]]:
    """``part.option`` of diffusers' files by part and option."""
    found: dict[str, dict[str, Any]] = {}
    for name, value in options.items():
        part, _, option = name.rpartition(".")
        found.setdefault(part, {})[option] = value
    return found
