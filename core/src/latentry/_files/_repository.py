"""Which of a folder's files a model consists of; the same for a folder here and for a repository of the hub."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath

from latentry._files._formats import WEIGHTS, is_index, shards_of

TEXTS = frozenset({".json", ".txt", ".model"})
"""Configurations and tokenizers' vocabularies."""
PIPELINE = "model_index.json"
NOT_LOADED = frozenset({"safety_checker"})
"""Parts of published pipelines that no family has a use for, and that are large."""
_USUAL = re.compile(r"(diffusion_pytorch_model|model)(-\d{5}-of-\d{5})?\.safetensors")
_PRECISION = re.compile(r"(diffusion_pytorch_model|model)\..+\.safetensors")
"""Weights in a precision that the name tells, e.g. ``model.fp16.safetensors``."""


def own_files(path: Path) -> list[Path]:
    """The files of a model: a single one, an index with its shards, or those of a folder."""
    if is_index(path):
        return [path, *shards_of(path)]
    if not path.is_dir():
        return [path]
    index = path / PIPELINE
    parts = pipeline_parts(index.read_text(encoding="utf-8")) if index.is_file() else None
    names = [file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()]
    return [path / name for name in model_files(names, parts)]


def pipeline_parts(index: str) -> frozenset[str] | None:
    """The folders that a ``model_index.json`` names; None where it cannot be read."""
    try:
        entries = json.loads(index).items()
    except (ValueError, AttributeError, RecursionError):
        return None
    return frozenset(name for name, value in entries if isinstance(value, list) and value and value[0]) - NOT_LOADED


def model_files(names: Iterable[str], parts: Collection[str] | None, *, weights: bool = True) -> list[str]:
    """The names, of all in a folder, that belong to its model, sorted.

    Pickles, hidden files and pictures do not. Of the weights in one folder those of the usual names do, where there
    are any (not ``model.fp16.safetensors`` beside ``model.safetensors``).

    Args:
        names: relative to the folder, with ``/``.
        parts: the pipeline's folders; then no weights beside them belong to it. None for all there are.
        weights: otherwise configurations and vocabularies alone.
    """
    texts: list[str] = []
    stores: dict[str, list[PurePosixPath]] = defaultdict(list)
    for path in map(PurePosixPath, names):
        place = path.parent.as_posix()
        if any(part.startswith(".") for part in path.parts) or (parts is not None and place not in {*parts, "."}):
            continue
        if path.suffix in TEXTS:
            texts.append(str(path))
        elif weights and path.suffix in WEIGHTS and (parts is None or place != "."):
            stores[place].append(path)
    return sorted((*texts, *(str(path) for files in stores.values() for path in _one_set(files))))


def undescribed_weights(names: Iterable[str]) -> list[str]:
    """The files of weights in a repository that says nothing of what they are together: no pipeline, no network."""
    paths = [PurePosixPath(name) for name in names]
    described = any(path.name in (PIPELINE, "config.json") or is_index(path) for path in paths)
    return [] if described else sorted(str(path) for path in paths if path.suffix in WEIGHTS)


def _one_set(files: list[PurePosixPath]) -> list[PurePosixPath]:
    usual = [path for path in files if _USUAL.fullmatch(path.name)]
    return usual or [path for path in files if not _PRECISION.fullmatch(path.name)] or files
