"""The file of names: which model each stands for, and what was recognised when it was added."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from latentry._cli._settings._file import VARIABLE, config_file
from latentry._errors import OptionError

PLUGIN = Path(__file__).with_name("own_models.py")
"""The plugin that registers them; the command line loads it where there are any."""


@dataclass(frozen=True)
class OwnModel:
    """A model with a name.

    Attributes:
        path: absolute.
        family: as ``distribution:name``.
        variant: its variant there.
        size: height and width in pixels that it draws best.
        guidance: guidance scale that suits it; None for the variant's.
    """

    path: str
    family: str
    variant: str
    size: int
    guidance: float | None = None


def names_file() -> Path | None:
    """Beside the configuration file; None where none is wanted."""
    config = config_file()
    return None if config is None else config.with_name("models.json")


def own_models() -> dict[str, OwnModel]:
    """All of them by name.

    Raises:
        OptionError: the file is damaged.
    """
    path = names_file()
    if path is None or not path.exists():
        return {}
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        return {name: OwnModel(**entry) for name, entry in read.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise OptionError(
            f"The list of your own models, {path}, cannot be read.",
            why=f"{error}.",
            remedy="Move it away, and add the models again.",
        ) from error


def write(models: Mapping[str, OwnModel]) -> Path:
    """Replaces the file as a whole, so that it is never half written.

    Raises:
        OptionError: no file is wanted.
    """
    path = names_file()
    if path is None:
        raise OptionError(f"{VARIABLE} is empty, so names are kept nowhere.", remedy="Unset it, or let it name a file.")
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(f".{os.getpid()}.tmp")
    entries = {name: asdict(model) for name, model in sorted(models.items())}
    scratch.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    scratch.replace(path)
    return path


def to_name(text: str) -> str:
    """A name made of a file's: lower case, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "model"
