"""What PEFT writes beside the tensors: alpha, and how it scales."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from latentry import ModelError

KEY = "lora_adapter_metadata"
"""Where diffusers keeps the settings in a file, those of each part under the part's name."""
FILE = "adapter_config.json"
"""Where PEFT keeps them, beside the file."""
ROOT = "base_model.model."
"""What PEFT puts before every layer's name."""


class PartSettings(BaseModel):
    """PEFT's ``LoraConfig`` of one network, as far as it bears on the result.

    Attributes:
        lora_alpha: alpha; the rank where it is not there.
        alpha_pattern: alpha by layers: their names after a ``^``, else the last parts of their names.
        use_rslora: the scale is alpha / √rank in place of alpha / rank (Kalajdzievski 2023, arXiv:2312.03732).
        use_dora: it is no plain LoRA.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    lora_alpha: float | None = None
    alpha_pattern: Mapping[str, float] | None = None
    use_rslora: bool = False
    use_dora: bool = False

    @field_validator("alpha_pattern")
    @classmethod
    def _names_alone(cls, patterns: Mapping[str, float] | None) -> Mapping[str, float] | None:
        """PEFT takes regular expressions; those of a stranger's file can be made to run for ever."""
        for pattern in patterns or ():
            if not re.fullmatch(r"[\w.]+", _plain(pattern)):
                raise ValueError(f"alpha_pattern holds {pattern}, which is no name of a layer")
        return patterns

    def scale(self, layer: str, rank: int) -> float:
        """What up·down is multiplied by."""
        own = (alpha for pattern, alpha in (self.alpha_pattern or {}).items() if _means(pattern, layer))
        alpha = next(own, rank if self.lora_alpha is None else self.lora_alpha)
        return alpha / (math.sqrt(rank) if self.use_rslora else rank)


def _means(pattern: str, layer: str) -> bool:
    name = _plain(pattern)
    return layer == name or (not pattern.startswith("^") and layer.endswith(f".{name}"))


def _plain(pattern: str) -> str:
    return pattern.removeprefix("^").removesuffix("$").replace("\\.", ".")


Settings = Mapping[str, PartSettings]
"""By part; those of PEFT's own files under the empty name."""


def scale(settings: Settings, layer: str, rank: int) -> float:
    """What up·down of a layer in the file's spelling is multiplied by; 1 where nothing is said of its part."""
    part, _, rest = layer.partition(".")
    if part in settings:
        return settings[part].scale(rest, rank)
    return settings.get("", PartSettings()).scale(layer.removeprefix(ROOT), rank)


def settings_file(file: Path, metadata: Mapping[str, str]) -> Path | None:
    """The file beside a LoRA that says how it is scaled; None where it says so itself, or nothing does."""
    beside = file.with_name(FILE)
    return beside if KEY not in metadata and beside.is_file() else None


def read_settings(file: Path, metadata: Mapping[str, str]) -> Settings | None:
    """The settings in a file, or in PEFT's file beside it; None where there are none.

    Raises:
        ModelError: they cannot be read, or are those of another method.
    """
    if KEY in metadata:
        text, where = metadata[KEY], f"the entry {KEY} of its metadata"
    elif (beside := settings_file(file, metadata)) is not None:
        text, where = beside.read_text(encoding="utf-8", errors="replace"), str(beside)
    else:
        return None
    try:
        settings = {part: PartSettings(**options) for part, options in _by_part(json.loads(text)).items()}
    except (ValidationError, ValueError, TypeError, RecursionError, AttributeError) as error:
        raise ModelError(
            f"The settings of the LoRA {file} cannot be read.",
            why=f"They are in {where}: {_reason(error)}.",
            remedy="Get the LoRA anew.",
        ) from error
    if any(each.use_dora for each in settings.values()):
        raise ModelError(
            f"{file} is no plain LoRA.",
            why=f"It is DoRA, which also scales the columns of each matrix, as {where} says.",
            remedy="Use a plain LoRA: two factors to a layer, with or without alpha.",
        )
    return settings


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return f"it is no JSON object ({error})"


def _by_part(options: Mapping[str, Any]) -> Mapping[str, dict[str, Any]]:
    """``part.option`` of diffusers' files by part and option."""
    found: dict[str, dict[str, Any]] = {}
    for name, value in options.items():
        part, _, option = name.rpartition(".")
        found.setdefault(part, {})[option] = value
    return found
