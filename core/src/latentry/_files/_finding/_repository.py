"""Which of a folder's files belong to its model; the same for a folder here and for a repository elsewhere."""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict, deque
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from posixpath import splitext

from latentry._errors import ModelError
from latentry._files._formats import WEIGHT_SUFFIXES, is_index, shards_of

DEPTH = 3
"""How deep the files of a model lie at most; folders of parts are one level, their own folders the next."""
MOST_ENTRIES = 5000
"""A folder with more files and folders is not a model's: a home folder, or a whole disk."""
TEXTS = frozenset({".json", ".txt", ".model"})
"""Configurations and tokenizers' vocabularies."""
PIPELINE = "model_index.json"
NOT_LOADED = frozenset({"safety_checker"})
"""Large parts of published pipelines that no family uses."""
_USUAL = re.compile(r"(diffusion_pytorch_model|model)(-\d{5}-of-\d{5})?\.safetensors")
_PRECISION = re.compile(r"(diffusion_pytorch_model|model)\..+\.safetensors")
"""Weights with a precision in their name, e.g. ``model.fp16.safetensors``."""


def own_files(path: Path) -> list[Path]:
    """The files of a model: a single one, an index with its shards, or those of a folder."""
    if is_index(path):
        return [path, *shards_of(path)]
    if not path.is_dir():
        return [path]
    index = path / PIPELINE
    text = index.read_text(encoding="utf-8") if index.is_file() else None
    return [path / name for name in model_files(_files_in(path), text)]


def _files_in(folder: Path) -> list[str]:
    """The files in a folder and in those below it, relative to it, with ``/``.

    Folders that cannot be read hold nothing.

    Raises:
        ModelError: there are too many for a model.
    """
    folders, files, seen = deque([("", DEPTH)]), list[str](), 0
    while folders:
        here, deeper = folders.popleft()
        try:
            with os.scandir(folder / here) as found:
                entries = [(here + entry.name, *_file_or_folder(entry)) for entry in found]
        except OSError:
            continue
        seen += len(entries)
        if seen > MOST_ENTRIES:
            raise ModelError(
                f"{folder} is not the folder of a model.",
                why=f"It holds more than {MOST_ENTRIES} files and folders.",
                remedy="Give the folder that holds the model itself.",
            )
        files += [name for name, is_file, _ in entries if is_file]
        folders += [(f"{name}/", deeper - 1) for name, _, is_folder in entries if deeper and is_folder]
    return files


def _file_or_folder(entry: os.DirEntry[str]) -> tuple[bool, bool]:
    try:
        return entry.is_file(), entry.is_dir()
    except OSError:  # a link to what may not be looked at
        return False, False


def _pipeline_parts(index: str) -> frozenset[str] | None:
    """The folders that a ``model_index.json`` names; None where it cannot be read."""
    try:
        entries = json.loads(index).items()
    except (ValueError, AttributeError, RecursionError):
        return None
    return frozenset(name for name, value in entries if isinstance(value, list) and value and value[0]) - NOT_LOADED


def model_files(names: Iterable[str], index: str | None, *, weights: bool = True) -> list[str]:
    """Those of a folder's files that belong to its model, sorted.

    Pickles, hidden files and pictures do not. Of the weights in one folder, those with the usual names do if there
    are any (not ``model.fp16.safetensors`` where there is ``model.safetensors``).

    Args:
        names: all files, relative to the folder, with ``/``.
        index: the text of its ``model_index.json``: only the parts that it names belong to the model. None if there is
            no such file.
        weights: False for configurations and vocabularies alone.
    """
    parts = None if index is None else _pipeline_parts(index)
    places = None if parts is None else {*parts, ""}
    texts: list[str] = []
    stores: dict[str, list[str]] = defaultdict(list)
    for name in names:  # strings: paths take several times as long, and every request comes through here
        place, _, last = name.rpartition("/")
        if f"/{name}".find("/.") >= 0 or (places is not None and place not in places):
            continue
        suffix = splitext(last)[1]
        if suffix in TEXTS:
            texts.append(name)
        elif weights and suffix in WEIGHT_SUFFIXES and (parts is None or place):
            stores[place].append(name)
    return sorted((*texts, *(name for files in stores.values() for name in _one_set(files))))


def undescribed_weights(names: Iterable[str]) -> list[str]:
    """The files of weights in a folder without any description of the model: no pipeline, no configuration."""
    paths = [PurePosixPath(name) for name in names]
    described = any(path.name in (PIPELINE, "config.json") or is_index(path) for path in paths)
    return [] if described else sorted(str(path) for path in paths if path.suffix in WEIGHT_SUFFIXES)


def _one_set(files: list[str]) -> list[str]:
    last = {name: name.rpartition("/")[2] for name in files}
    usual = [name for name in files if _USUAL.fullmatch(last[name])]
    return usual or [name for name in files if not _PRECISION.fullmatch(last[name])] or files
