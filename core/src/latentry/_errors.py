"""The exception tree. Every message says what failed, why, and what to do about it.

LatentryError
├── PluginError          a plugin or the plugin set is at fault
│   └── UnknownName      nothing that can be used is registered under a name
├── OptionError          an option is unknown or has a value it cannot have
├── IncompatibleError    things that are each right do not go together
├── ModelError           a checkpoint is missing, damaged, unsafe or not recognised
├── RecipeError          a picture's recipe is absent or cannot be followed here
│   └── RecipeDiffers    what it was made with differs here
├── NotAllowed           the host's policy forbids it
├── NonFiniteError       values that are not finite arose while drawing
├── ResourceError        the machine lacks memory or a device
├── JobCancelled         a job was cancelled or paused, and has no result
└── DeadlinePassed       a job was not finished in time
"""

from __future__ import annotations

import unicodedata
from typing import Any, ClassVar

_JOINERS = "\u200c\u200d"
"""Format characters that words of some languages, and emoji, are written with."""
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode's categories of control, format and private characters, lone surrogates and line separators."""


def visible(text: str, *, lines: bool = False) -> str:
    """A text from outside, safe to print: characters that steer a terminal become escapes such as ``\\x1b``.

    Files, recipes and plugins can hold any text. Escape sequences in it could recolour, hide or forge what a terminal
    shows, and lone surrogates cannot be printed at all.

    Args:
        text: what is to be printed.
        lines: keep line breaks, where the text is a message of several lines.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c == "\n" and lines else _escaped(c) for c in text)


def counted(number: int, noun: str) -> str:
    """A number with its noun, e.g. ``1 step`` and ``2 steps``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _escaped(character: str) -> str:
    if unicodedata.category(character) not in _INVISIBLE or character in _JOINERS:
        return character
    return character.encode("unicode_escape").decode("ascii")


class LatentryError(Exception):
    """Base of every error that Latentry raises.

    Args:
        what: the failure in one sentence, naming the thing at fault.
        why: the cause, where it is not evident.
        remedy: what the reader can do about it.
        field: the field of ``GenerationRequest`` or ``MemoryPolicy`` that has to change, where one does. Hosts point
            to their own control for it; the command line names the option as it is typed.

    Attributes:
        code: what kind of failure this is, in a word that stays the same when messages are reworded.
    """

    code: ClassVar[str] = "error"

    def __init__(self, what: str, *, why: str = "", remedy: str = "", field: str | None = None) -> None:
        self.what, self.why, self.remedy = (visible(text, lines=True) for text in (what, why, remedy))
        self.field = field
        super().__init__("\n".join(part for part in (self.what, self.why, self.remedy) if part))


class PluginError(LatentryError):
    """A plugin, or the set of plugins together, is at fault."""

    code = "plugin"


class UnknownName(PluginError, KeyError):
    """No usable record is registered under a name."""

    code = "unknown_name"

    def __str__(self) -> str:
        return Exception.__str__(self)  # KeyError would show the representation


class OptionError(LatentryError, ValueError):
    """An option is unknown or has an invalid value.

    Attributes:
        idle: the fields that would change nothing, where they are refused for that.
    """

    code = "option"
    idle: frozenset[str] = frozenset()


class IncompatibleError(LatentryError, ValueError):
    """Two valid choices cannot be combined."""

    code = "incompatible"


class ModelError(LatentryError):
    """A checkpoint is missing, damaged, unsafe or not recognised."""

    code = "model"


class RecipeError(LatentryError):
    """A picture's recipe is absent, or cannot be followed with what is installed."""

    code = "recipe"


class RecipeDiffers(RecipeError):
    """What a recipe was made with differs here; ``Engine.reproduce`` goes on all the same where ``anyway`` is set."""

    code = "recipe_differs"


class NotAllowed(LatentryError):
    """The host's ``Policy`` forbids what was asked for."""

    code = "not_allowed"


class NonFiniteError(LatentryError):
    """Non-finite values occurred, and no picture was made from them.

    Attributes:
        finished: a ``GenerationResult`` with the pictures of the batches before; None where there are none.
    """

    code = "not_finite"
    finished: Any = None


class ResourceError(LatentryError):
    """The machine lacks memory, or a device that was asked for."""

    code = "resource"


class JobCancelled(LatentryError):
    """A job was cancelled or paused, and has no result."""

    code = "cancelled"


class DeadlinePassed(LatentryError):
    """A job was not finished by its deadline."""

    code = "deadline"
