"""Names of files with fields, such as ``{scheduler}-{seed}.png``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from string import Formatter
from typing import Any

from latentry._errors import OptionError

FIELDS = ("seed", "scheduler", "index", "model", "date")
UNSAFE = re.compile(r'[/\\:*?"<>|\x00-\x1f]+')
"""What a name of a file cannot hold on every system; a model can be a path or ``owner/name``."""


class Date(datetime):
    """A moment that is written as a day where its format is not given."""

    def __format__(self, spec: str) -> str:
        return super().__format__(spec or "%Y-%m-%d")


class _Fields(Formatter):
    """Formats with fields alone: neither attributes nor items of them."""

    def get_field(self, field_name: str, args: Any, kwargs: Mapping[str, Any]) -> tuple[Any, str]:
        if field_name not in kwargs:
            raise KeyError(field_name)
        return kwargs[field_name], field_name

    def format_field(self, value: Any, format_spec: str) -> str:
        return UNSAFE.sub("-", str(super().format_field(value, format_spec)))


def has_fields(text: str) -> bool:
    """Whether a name has fields, or is meant to."""
    return "{" in text or "}" in text


def fill(text: str, values: Mapping[str, Any]) -> str:
    """The name with the values of its fields.

    Raises:
        OptionError: a field is unknown, or its format is not one of its values.
    """
    try:
        return _Fields().vformat(text, (), values)
    except (KeyError, ValueError, IndexError, TypeError) as error:
        known = ", ".join(f"{{{name}}}" for name in FIELDS)
        why = f"There is no field {error}." if isinstance(error, KeyError) else f"{str(error).capitalize()}."
        raise OptionError(
            f"--output {text} cannot be made into a name.",
            why=why,
            remedy=f"The fields are {known}, with or without a format, e.g. {{index:03}} or {{date:%H%M}}.",
        ) from error


def values_of(*, seed: int, scheduler: str, index: int, model: str) -> dict[str, Any]:
    """The values of the fields for one picture.

    Args:
        seed: of its request.
        scheduler: ``distribution:name`` or a name; the name is taken.
        index: of the picture in the whole command, from 0.
        model: a name, or a path, of which the last part without its suffix is taken.
    """
    path = Path(model)
    name = path.stem if path.suffix in (".safetensors", ".gguf") else path.name
    short = scheduler.rpartition(":")[2]
    return {"seed": seed, "scheduler": short, "index": index, "model": name or "model", "date": Date.now()}


EXAMPLE = values_of(seed=0, scheduler="scheduler", index=0, model="model")
"""To try a name with before anything is drawn."""
