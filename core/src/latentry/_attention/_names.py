"""How backends are requested: ``flash``, ``flash,auto``, ``joint=flash;vae=sliced``."""

from __future__ import annotations

from collections.abc import Mapping

from latentry._errors import OptionError

NATIVE = "native"
"""The networks' own attention, without a backend."""
AUTO = "auto"

ROLES = ("self", "cross", "joint", "vae", "text")
"""Self-attention of the denoiser, cross-attention to the text, joint attention of both, in the autoencoder, in the text
encoders."""

ALL = ""
"""The key for all roles that are not named."""


def parse_attention(text: str) -> dict[str, tuple[str, ...]]:
    """Backends by role, in the order in which they are tried. The first key is ``ALL``, for all other roles.

    Raises:
        OptionError: a role is not known, or a part is empty or given twice.
    """
    parts: dict[str, tuple[str, ...]] = {}
    for part in text.split(";"):
        role, equals, names = part.rpartition("=")
        role = role.strip()
        if equals and role not in ROLES:
            raise OptionError(
                f"There is no attention role {role!r}.", remedy=f"Roles are {', '.join(ROLES)}.", field="attention"
            )
        chosen = tuple(name.strip() for name in names.split(","))
        if role in parts or not all(chosen) or len(set(chosen)) != len(chosen):
            raise OptionError(
                f"The attention {text!r} cannot be understood.",
                why="A part is empty or given twice.",
                remedy="Use e.g. flash, or flash,auto with others as a fallback, or joint=flash;vae=sliced.",
                field="attention",
            )
        parts[role] = chosen
    return {ALL: parts.pop(ALL, (AUTO,)), **parts}


def written(parts: Mapping[str, tuple[str, ...]]) -> str:
    """The text that ``parse_attention`` reads as these parts."""
    return ";".join(f"{role}={','.join(names)}" if role else ",".join(names) for role, names in parts.items())
