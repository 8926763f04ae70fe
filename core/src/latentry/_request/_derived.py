"""Where settings come from that were taken from another picture."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from pydantic import BaseModel, ConfigDict


class Derived(BaseModel):
    """Where a picture's settings come from.

    Attributes:
        program: that made the picture whose settings they are.
        digest: sha256 of the text in that picture.
        changed: fields of the request that were given anew.
    """

    model_config = ConfigDict(frozen=True)

    program: str
    digest: str
    changed: tuple[str, ...] = ()


def derived(program: str, text: str, given: Iterable[str]) -> Derived:
    """The record of settings that were taken from a picture's text."""
    return Derived(program=program, digest=sha256(text.encode("utf-8", "replace")).hexdigest(), changed=tuple(given))
