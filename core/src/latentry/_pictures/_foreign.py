"""What pictures of other programs say about how they were made."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from latentry._pictures._automatic1111 import read_parameters
from latentry._pictures._comfyui import read_prompt, read_workflow
from latentry._pictures._diffusers import read_call
from latentry._pictures._invokeai import read_dream, read_metadata
from latentry._pictures._reading import PictureTexts
from latentry._pictures._settings import ForeignSettings

LONGEST = 4_000_000
"""Characters of a text that is read: beyond that it is not settings."""


@dataclass(frozen=True)
class _Format:
    """A text in pictures.

    Attributes:
        chunk: its name.
        read: makes settings of it; None where it is something else.
        json: whether it is JSON, and ``read`` takes what is in it.
    """

    chunk: str
    read: Callable[[Any], ForeignSettings | None]
    json: bool = field(default=True)


FORMATS = (
    _Format("invokeai_metadata", read_metadata),
    _Format("sd-metadata", read_dream),
    _Format("parameters", read_call),
    _Format("parameters", read_parameters, json=False),
    _Format("prompt", read_prompt),
    _Format("workflow", read_workflow),
    *(_Format(chunk, read_call) for chunk in ("metadata", "Description", "Comment", "diffusers", "UserComment")),
)
"""Tried in this order: what a program writes for itself comes before what it writes for others."""


def read_foreign(texts: PictureTexts) -> ForeignSettings | None:
    """The settings in the texts of a picture; None where no format is recognised."""
    for each in FORMATS:
        text = texts.by_name.get(each.chunk, "")
        if not text or len(text) > LONGEST:
            continue
        content = _json(text) if each.json else text
        if content is not None and (found := each.read(content)) is not None:
            return found.sized(texts.width, texts.height)
    return None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
