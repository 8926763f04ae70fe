"""The exception tree. Every message says what failed, why, and what to do about it.

LatentryError
├── PluginError          a plugin or the plugin set is at fault
│   └── UnknownName      nothing that can be used is registered under a name
├── OptionError          an option is unknown or has a value it cannot have
├── IncompatibleError    things that are each right do not go together
├── ModelError           a checkpoint is missing, damaged, unsafe or not recognised
├── RecipeError          a picture's recipe is absent or cannot be followed here
└── ResourceError        the machine lacks memory or a device
"""

from __future__ import annotations

from typing import ClassVar


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
        self.what, self.why, self.remedy, self.field = what, why, remedy, field
        super().__init__("\n".join(part for part in (what, why, remedy) if part))


class PluginError(LatentryError):
    """A plugin, or the set of plugins together, is at fault."""

    code = "plugin"


class UnknownName(PluginError, KeyError):
    """Nothing that can be used is registered under a name."""

    code = "unknown_name"

    def __str__(self) -> str:
        return Exception.__str__(self)  # KeyError would show the representation


class OptionError(LatentryError, ValueError):
    """An option is unknown or has a value it cannot have."""

    code = "option"


class IncompatibleError(LatentryError, ValueError):
    """Two things that are each right do not go together."""

    code = "incompatible"


class ModelError(LatentryError):
    """A checkpoint is missing, damaged, unsafe or not recognised."""

    code = "model"


class RecipeError(LatentryError):
    """A picture's recipe is absent, or cannot be followed with what is installed."""

    code = "recipe"


class ResourceError(LatentryError):
    """The machine lacks memory, or a device that was asked for."""

    code = "resource"
