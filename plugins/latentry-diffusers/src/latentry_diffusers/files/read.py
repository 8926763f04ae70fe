"""Reads the headers of weights, whatever format they are in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from latentry import ModelError, ModelFiles
from latentry_diffusers.files.configs import read_json
from latentry_diffusers.files.errors import PICKLES, damaged, pickle_refused
from latentry_diffusers.files.gguf.file import read_gguf
from latentry_diffusers.files.part_folder import find_each, find_weights
from latentry_diffusers.files.safetensors_file import open_safetensors, read_safetensors
from latentry_diffusers.files.weight_files import WeightFiles

Read = Callable[[Path], WeightFiles]
"""``read_headers``, or a ``shared_reader``."""


def read_headers(path: Path) -> WeightFiles:
    """What a file, the shards of an index, or the weights in a part's folder hold.

    No tensor is read, and torch is not imported. The first bytes decide the format, whatever the file is called.

    Raises:
        ModelError: there is no such file, or it is a pickle, empty, cut short, or lacks a shard or a key of its index.
    """
    return shared_reader(ModelFiles(path))(path)


def shared_reader(files: ModelFiles) -> Read:
    """``read_headers``, which reads each file once for all callers with the same ``ModelFiles``.

    The callers are the detectors of all families, and then the checkpoint that is opened.
    """

    def read(path: Path) -> WeightFiles:
        return _once(files, _file_at(path))

    return read


def read_folders(files: ModelFiles, folders: Iterable[Path]) -> dict[Path, WeightFiles]:
    """The headers in several parts' folders, by folder, each file read once as by ``shared_reader``.

    Raises:
        ModelError: see ``read_headers``.
    """
    return {folder: _once(files, file) for folder, file in find_each(folders).items()}


def _once(files: ModelFiles, file: Path) -> WeightFiles:
    """What a file of weights, or the shards of an index, hold; read if nothing has read it yet."""

    def one(file: Path) -> WeightFiles:
        return files.once(("headers", file), lambda: _read_file(file))

    return files.once(("headers", file), lambda: _read_index(file, one)) if file.suffix == ".json" else one(file)


def _file_at(path: Path) -> Path:
    file = find_weights(path) if path.is_dir() else path
    if not file.is_file():
        raise ModelError(f"There is no file {file}.", remedy="Download the checkpoint again, with all its files.")
    return file


def _read_file(path: Path) -> WeightFiles:
    try:
        with path.open("rb") as stream:
            start = stream.read(9)
    except OSError as error:
        raise damaged(path, error) from error
    if start.startswith(b"GGUF"):
        return read_gguf(path)
    # a safetensors file begins with the length of its header, which may look like the mark of a pickle or a zip archive
    if start[8:] != b"{" and (path.suffix in PICKLES or start.startswith((b"PK\x03\x04", b"\x80"))):
        raise pickle_refused(path)
    return read_safetensors(path)


def _read_index(path: Path, read_one: Read) -> WeightFiles:
    content = read_json(path) or {}
    places = content.get("weight_map")
    if not isinstance(places, dict) or not places or not all(map(_is_plain_name, places.values())):
        raise ModelError(
            f"{path} is not an index of safetensors files.",
            why="It must have a weight_map from each tensor to a file in the same folder.",
            remedy="Download the checkpoint again.",
        )
    shards = {name: path.parent / name for name in dict.fromkeys(places.values())}
    for shard in shards.values():
        if not shard.is_file():
            raise ModelError(
                f"The shard {shard} is missing.",
                why=f"{path.name} places {sum(name == shard.name for name in places.values()):,} tensors there.",
                remedy="Download the checkpoint again, with all its files.",
            )
    read = {name: read_one(shard) for name, shard in shards.items()}
    for key, name in places.items():
        if key not in read[name].tensors:
            raise ModelError(
                f"The shard {shards[name]} does not hold {key}.",
                why=f"{path.name} places that tensor there.",
                remedy="Download the checkpoint again: its shards and their index must belong together.",
            )
    metadata = {key: value for one in read.values() for key, value in one.metadata.items()}
    tensors = {key: read[name].tensors[key] for key, name in places.items()}
    files = {key: shards[name] for key, name in places.items()}
    return WeightFiles(tuple(shards.values()), tensors, files, metadata, "safetensors", open_safetensors)


def _is_plain_name(name: object) -> bool:
    """Whether it names a file in the same folder: an index must not reach elsewhere."""
    return isinstance(name, str) and name not in ("", ".", "..") and not {"/", "\\", "\0"} & set(name)
