"""How a field of a request is typed on a command line: the one declaration of an option besides the field itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import BaseModel


class Panel(StrEnum):
    """The headings of the help."""

    PROMPT = "Prompt"
    MODEL = "Model"
    LORA = "LoRA"
    CONTROL = "Control by pictures"
    SAMPLING = "Sampling"
    GUIDANCE = "Guidance"
    PICTURE = "Starting from a picture"
    OUTPUT = "Pictures"
    DEVICE = "Device, memory and attention"


@dataclass(frozen=True)
class Option:
    """Metadata of a field, given as ``Annotated[type, Option(...)]``. Name, type, bounds, default and help text are
    the field's own.

    Attributes:
        panel: the heading under which the option stands.
        spelling: the option as it is typed; empty: the field's name with dashes. Fields of one spelling are one option.
        also: another spelling, for those who think of it by that name.
        metavar: what stands for the value in the help; empty: taken from the field's type.
        repeatable: whether it can be given several times.
        needs: the field without which this one has no effect; given alone, the option is refused.
        read: makes the field's value from the text, or from all texts where it is repeatable; for an option of several
            fields, a mapping of their values by name. None: the text itself is the value, and the field converts it.
            A ``ValueError`` says what the text must be.
        unit: of the value, e.g. ``pixels``.
        names: the host's registry whose names are values, e.g. ``schedulers``; shells complete them.
    """

    panel: Panel
    spelling: str = ""
    also: str = ""
    metavar: str = ""
    repeatable: bool = False
    needs: str = ""
    read: Callable[..., object] | None = None
    unit: str = ""
    names: str = ""


def declared_options(model: type[BaseModel]) -> Iterator[tuple[str, Option]]:
    """The fields of a model that are options, in their order."""
    for name, info in model.model_fields.items():
        yield from ((name, item) for item in info.metadata if isinstance(item, Option))
