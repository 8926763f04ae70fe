"""Clip skip, the conditioning option of every family with CLIP: leaves out more of its last layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from latentry import OptionError
from latentry.models import PromptSettings

LAYERS = 12
"""The default of ``num_hidden_layers`` in ``CLIPTextConfig``."""


class ClipConditioning(BaseModel):
    """Options of prompts that CLIP encodes; a family with more options derives from it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clip_skip: int = Field(
        default=0, ge=0, description="last layers of CLIP to leave out, beyond those the family always leaves out"
    )


def clip_skip_of(settings: PromptSettings) -> int:
    """``clip_skip`` of a prompt's settings; 0 where they hold no options."""
    return settings.own.clip_skip if isinstance(settings.own, ClipConditioning) else 0


def check_clip_skip(options: BaseModel, configs: Iterable[Mapping[str, Any]], *, usual: int = 0) -> None:
    """Refuses to leave out more layers than the smallest encoder can do without: one must remain.

    Args:
        options: the request's conditioning options.
        configs: of the CLIP text encoders.
        usual: how many of the last layers the family leaves out anyway.

    Raises:
        OptionError: no layer would remain; the message names the maximum.
    """
    most = min(int(config.get("num_hidden_layers", LAYERS)) for config in configs) - 1 - usual
    if isinstance(options, ClipConditioning) and options.clip_skip > most:
        raise OptionError(
            f"clip_skip={options.clip_skip} leaves none of CLIP's layers.",
            why=f"At most {most} more of its last layers can be left out of this model.",
            remedy=f"Use clip_skip={most} or less." if most > 0 else "Leave clip_skip out.",
        )
