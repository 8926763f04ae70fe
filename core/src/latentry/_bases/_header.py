"""The header of a safetensors file, for a family's detector: torch is not imported, and no tensor is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from latentry._errors import ModelError


@dataclass(frozen=True)
class SafetensorsHeader:
    """What a safetensors file says before its tensors.

    Attributes:
        metadata: free texts of whoever wrote it.
        shapes: of the tensors, by name.
    """

    metadata: Mapping[str, str]
    shapes: Mapping[str, tuple[int, ...]]


def safetensors_header(path: Path) -> SafetensorsHeader | None:
    """The header of a safetensors file; None where the path is anything else.

    Raises:
        ModelError: the file is damaged.
    """
    if path.suffix not in (".safetensors", ".sft") or not path.is_file():
        return None
    from safetensors import safe_open

    try:
        with safe_open(path, "np") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            metadata = dict(file.metadata() or {})
    except Exception as error:  # safetensors' own, whose class is not public, or OSError
        raise damaged(path, error) from error
    return SafetensorsHeader(MappingProxyType(metadata), MappingProxyType(shapes))


def damaged(path: Path, error: Exception) -> ModelError:
    """The error for a file that safetensors cannot read."""
    return ModelError(
        f"{path} is not a complete safetensors file.",
        why=f"{type(error).__name__}: {error}",
        remedy="Copy or download it again.",
    )
