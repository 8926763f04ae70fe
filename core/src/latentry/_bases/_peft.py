"""What PEFT writes about a LoRA in a second file: how its factors are scaled."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from latentry._errors import ModelError

FILE = "adapter_config.json"

Value = TypeVar("Value", int, float)


class PeftScaling(BaseModel):
    """The fields of PEFT's configuration that scale an adapter.

    Attributes:
        peft_type: PEFT's name of the kind of adapter.
        lora_alpha: alpha; the rank where it is missing.
        alpha_pattern: alpha of some layers, by their names after a ``^`` or by the last parts of their names.
        use_rslora: the scale is alpha / √rank instead of alpha / rank (Kalajdzievski 2023, arXiv:2312.03732).
        use_dora: whether there is a magnitude for each output.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    peft_type: str | None = None
    lora_alpha: float | None = None
    alpha_pattern: Mapping[str, float] | None = None
    use_rslora: bool = False
    use_dora: bool = False

    @field_validator("alpha_pattern", "rank_pattern", check_fields=False)
    @classmethod
    def _names_only(cls, patterns: Mapping[str, float] | None) -> Mapping[str, float] | None:
        """Refuses regular expressions, which PEFT accepts: one in an untrusted file could run for ever."""
        for pattern in patterns or ():
            if not re.fullmatch(r"[\w.]+", _plain(pattern)):
                raise ValueError(f"{pattern} is not the name of a layer")
        return patterns

    def alpha_of(self, layer: str) -> float | None:
        """Alpha of a layer; None leaves it at the rank."""
        own = value_for_layer(self.alpha_pattern, layer)
        return self.lora_alpha if own is None else own

    def scale(self, layer: str, rank: int) -> float:
        """What the product of a layer's factors is multiplied by: alpha / rank.

        Args:
            layer: its name, without PEFT's root.
            rank: the rank of its factors.
        """
        alpha = self.alpha_of(layer)
        return (rank if alpha is None else alpha) / (math.sqrt(rank) if self.use_rslora else rank)


class PeftSettings(PeftScaling):
    """Settings of a plain LoRA; those of other kinds are refused."""

    @field_validator("peft_type")
    @classmethod
    def _lora_only(cls, kind: str | None) -> str | None:
        if kind is not None and kind.upper() != "LORA":
            raise ValueError(f"{kind} is not supported here, LORA alone is")
        return kind

    @field_validator("use_dora")
    @classmethod
    def _no_magnitudes(cls, dora: bool) -> bool:
        if dora:
            raise ValueError("DoRA is not supported here")
        return dora


def value_for_layer(patterns: Mapping[str, Value] | None, layer: str) -> Value | None:
    """The value of a layer among those that PEFT gives by names or last parts of names; None where it has none."""
    return next((value for pattern, value in (patterns or {}).items() if _matches(pattern, layer)), None)


def _matches(pattern: str, layer: str) -> bool:
    name = _plain(pattern)
    return layer == name or (not pattern.startswith("^") and layer.endswith(f".{name}"))


def _plain(pattern: str) -> str:
    return pattern.removeprefix("^").removesuffix("$").replace("\\.", ".")


def settings_file(lora: Path) -> Path | None:
    """The file beside a LoRA's; None where there is none."""
    found = lora.with_name(FILE)
    return found if found.is_file() else None


def read_settings(lora: Path) -> PeftSettings | None:
    """What the file beside a LoRA's says; None where there is none.

    Raises:
        ModelError: it cannot be read.
    """
    if (file := settings_file(lora)) is None:
        return None
    try:
        return PeftSettings.model_validate(json.loads(file.read_text(encoding="utf-8", errors="replace")))
    except (ValidationError, ValueError, RecursionError) as error:
        raise ModelError(
            f"The settings of the LoRA {lora} cannot be read.",
            why=f"They are in {file}: {_reason(error)}.",
            remedy="Use a LoRA with settings that can be read: its kind LORA, its layers by name, no DoRA.",
            field="loras",
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return ": ".join((*map(str, first["loc"]), first["msg"]))
    return f"it is not JSON ({error})"
