"""The file formats of weights, by the suffix of the name."""

from __future__ import annotations

import json
from pathlib import Path, PurePath

from latentry._errors import ModelError

PICKLES = frozenset({".ckpt", ".pt", ".pth", ".bin", ".pkl"})
SAFETENSORS = frozenset({".safetensors", ".sft"})
WEIGHT_SUFFIXES = SAFETENSORS | {".gguf"}
"""Formats that hold weights and run no code."""
INDEX = ".safetensors.index.json"
"""The end of the name of a sharded file's index."""


def is_index(path: PurePath) -> bool:
    """Whether a path has the name of a sharded file's index."""
    return path.name.endswith(INDEX)


def shards_of(index: Path) -> list[Path]:
    """The files that an index names, sorted, whether they exist or not.

    Raises:
        ModelError: the index cannot be read, or names files in other folders.
    """
    try:
        names: set[str] = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        if names != {Path(name).name for name in names}:
            raise ValueError("a shard is in another folder")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"{index} is not the index of a sharded file.",
            why="An index is JSON with a weight_map that names, for each tensor, a file in the same folder.",
            remedy="Copy or download it again.",
        ) from error
    return [index.parent / name for name in sorted(names)]
