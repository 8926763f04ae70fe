"""How attention is asked for: ``flash``, ``flash,auto``, ``joint=flash;vae=sliced``."""

from __future__ import annotations

from collections.abc import Mapping

from latentry._errors import OptionError

NATIVE = "native"
"""The networks' own way, which no backend serves."""
AUTO = "auto"

ROLES = ("self", "cross", "joint", "vae", "text")
"""Attention of a network to itself, to the text, of both to both in one, of the autoencoder, of the text encoders."""

ALL = ""
"""Stands for every role that is not named."""


def parse_attention(text: str) -> dict[str, tuple[str, ...]]:
    """Backends by role, in the order in which they are to be tried; the rest is under ``ALL``, first.

    Raises:
        OptionError: a role that there is none, a part that is empty or comes twice.
    """
    parts: dict[str, tuple[str, ...]] = {}
    for part in text.split(";"):
        role, equals, names = part.rpartition("=")
        role = role.strip()
        if equals and role not in ROLES:
            raise OptionError(f"There is no attention role {role!r}.", remedy=f"Roles are {', '.join(ROLES)}.")
        chosen = tuple(name.strip() for name in names.split(","))
        if role in parts or not all(chosen) or len(set(chosen)) != len(chosen):
            raise OptionError(
                f"The attention {text!r} cannot be understood.",
                why="A part is empty or comes twice.",
                remedy="E.g. flash, or flash,auto to have others serve what it cannot, or joint=flash;vae=sliced.",
            )
        parts[role] = chosen
    return {ALL: parts.pop(ALL, (AUTO,)), **parts}


def written(parts: Mapping[str, tuple[str, ...]]) -> str:
    """The text that means these parts."""
    return ";".join(f"{role}={','.join(names)}" if role else ",".join(names) for role, names in parts.items())
