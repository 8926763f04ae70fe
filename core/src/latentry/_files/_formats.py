"""The formats that weights come in, told by the ends of their names."""

from __future__ import annotations

import json
from pathlib import Path, PurePath

from latentry._errors import ModelError

PICKLES = frozenset({".ckpt", ".pt", ".pth", ".bin", ".pkl"})
SAFETENSORS = frozenset({".safetensors", ".sft"})
WEIGHTS = SAFETENSORS | {".gguf"}
INDEX = ".safetensors.index.json"
"""How the index of a sharded file ends."""


def is_index(path: PurePath) -> bool:
    """Whether a file is the index of a sharded one."""
    return path.name.endswith(INDEX)


def shards_of(index: Path) -> list[Path]:
    """The files that an index names, sorted, whether they are there or not.

    Raises:
        ModelError: it cannot be understood, or names files elsewhere.
    """
    try:
        names: set[str] = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        if names != {Path(name).name for name in names}:
            raise ValueError("a shard lies elsewhere")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"{index} is no index of a sharded file.",
            why="It is to be JSON whose weight_map says for each tensor which file beside it holds it.",
            remedy="Copy or download it again.",
        ) from error
    return [index.parent / name for name in sorted(names)]
