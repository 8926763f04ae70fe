"""What a checkpoint says about itself, from its configurations and the headers of its weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from latentry_diffusers.configs import read_json

MOST_HEADER = 100_000_000
"""Bytes that the header of a safetensors file may have, by its format."""


def said_of(path: Path, part: str) -> str:
    """What a checkpoint calls itself: metadata of a part's weights and the names that its folders were saved from.

    From ``modelspec.title`` and ``modelspec.architecture`` of the safetensors headers and ``_name_or_path`` of
    ``model_index.json`` and of the part's ``config.json``, in one line; empty where there is none.
    """
    configs = (read_json(path / "model_index.json"), read_json(path / part / "config.json"))
    names = [str((config or {}).get("_name_or_path", "")) for config in configs]
    for file in sorted((path / part).glob("*.safetensors")):
        metadata = _metadata(file)
        names += [str(metadata.get(f"modelspec.{key}", "")) for key in ("title", "architecture")]
    return " ".join(dict.fromkeys(name for name in names if name))


def _metadata(file: Path) -> dict[str, Any]:
    """The strings a safetensors file brings along; its header is a JSON object after eight bytes of length."""
    try:
        with file.open("rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(min(size, MOST_HEADER)))
    except (OSError, ValueError):
        return {}
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    return metadata if isinstance(metadata, dict) else {}
