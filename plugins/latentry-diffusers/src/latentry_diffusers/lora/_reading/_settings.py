"""What PEFT and diffusers write about an adapter apart from its tensors: alpha, and how it is scaled."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from latentry import ModelError

KEY = "lora_adapter_metadata"
"""The entry of a file's metadata in which diffusers keeps the settings, each under its part's name."""
FILE = "adapter_config.json"
"""The file next to the adapter in which PEFT keeps the settings."""
ROOT = "base_model.model."
"""What PEFT puts before the name of every layer."""
TYPES = frozenset({"LORA", "LOHA", "LOKR", "OFT"})
"""PEFT's names of the kinds of adapter that run here."""


Value = TypeVar("Value", int, float)


class PartSettings(BaseModel):
    """The fields of PEFT's configuration that affect the result, for the adapter of one network.

    Attributes:
        peft_type: PEFT's name of the kind of adapter.
        r: the rank.
        lora_alpha: alpha; the rank where it is missing. LoHa and LoKr call it ``alpha``.
        alpha_pattern: alpha of some layers, by their names after a ``^`` or by the last parts of their names.
        rank_pattern: the rank of some layers, named in the same way.
        use_rslora: the scale is alpha / √rank instead of alpha / rank (Kalajdzievski 2023, arXiv:2312.03732).
        use_dora: there is a magnitude for each output (see ``_magnitude``).
        coft: OFT's rotations are kept close to the identity, by ``eps``.
        use_cayley_neumann: OFT's inverse is replaced by ``num_cayley_neumann_terms`` terms of its series.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    peft_type: str | None = None
    r: int | None = None
    lora_alpha: float | None = None
    alpha: float | None = None
    alpha_pattern: Mapping[str, float] | None = None
    rank_pattern: Mapping[str, int] | None = None
    use_rslora: bool = False
    use_dora: bool = False
    coft: bool = False
    eps: float = Field(default=6e-5, gt=0)
    use_cayley_neumann: bool = True
    num_cayley_neumann_terms: int = Field(default=5, ge=1, le=64)

    @field_validator("alpha_pattern", "rank_pattern")
    @classmethod
    def _names_only(cls, patterns: Mapping[str, float] | None) -> Mapping[str, float] | None:
        """Refuses regular expressions, which PEFT accepts: one in an untrusted file could run for ever."""
        for pattern in patterns or ():
            if not re.fullmatch(r"[\w.]+", _plain(pattern)):
                raise ValueError(f"{pattern} is not the name of a layer")
        return patterns

    def scale(self, layer: str, rank: int | None) -> float:
        """What the adapter's matrix is multiplied by: alpha / rank.

        Args:
            layer: its name, without PEFT's root.
            rank: the rank of its tensors; None if they do not tell (LoKr with two full matrices).
        """
        if rank is None:
            rank = _of(self.rank_pattern, layer) or self.r or 1
        alpha = _of(self.alpha_pattern, layer)
        if alpha is None:
            alpha = self.lora_alpha if self.lora_alpha is not None else self.alpha
        return (rank if alpha is None else alpha) / (math.sqrt(rank) if self.use_rslora else rank)


def _of(patterns: Mapping[str, Value] | None, layer: str) -> Value | None:
    return next((value for pattern, value in (patterns or {}).items() if _matches(pattern, layer)), None)


def _matches(pattern: str, layer: str) -> bool:
    name = _plain(pattern)
    return layer == name or (not pattern.startswith("^") and layer.endswith(f".{name}"))


def _plain(pattern: str) -> str:
    return pattern.removeprefix("^").removesuffix("$").replace("\\.", ".")


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
