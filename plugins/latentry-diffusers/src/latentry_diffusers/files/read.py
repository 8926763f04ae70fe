"""Files of weights, read by their headers; a tensor is a view of its memory-mapped file, made when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from latentry import ModelError
from latentry_diffusers.files.configs import read_json
from latentry_diffusers.files.errors import PICKLES, damaged, pickle_refused
from latentry_diffusers.files.part_folder import find_weights

if TYPE_CHECKING:
    from torch import Tensor

BITS: Mapping[str, int] = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}
"""Of one value, by safetensors' name of the dtype."""
MAPPED = 1 << 28
"""Bytes read through one mapping of a file; with a new one, pages of tensors that were moved elsewhere can go."""


class TensorHeader(NamedTuple):
    """What a file says of a tensor.

    Attributes:
        dtype: in the words of the format, e.g. ``F16`` or ``Q8_0``.
        shape: of the tensor as a network has it, also where its values are packed.
        size: bytes in the file.
    """

    dtype: str
    shape: tuple[int, ...]
    size: int


@dataclass(frozen=True)
class WeightFiles:
    """The tensors of one file, or of the shards of one index.

    Attributes:
        files: in which they lie.
        tensors: their headers by name.
        places: the file of each.
        metadata: what the files say of themselves.
        format: of the files.
    """

    files: tuple[Path, ...]
    tensors: Mapping[str, TensorHeader]
    places: Mapping[str, Path]
    metadata: Mapping[str, str]
    format: Literal["safetensors", "gguf"] = "safetensors"
    _mappings: dict[Path, tuple[Any, int]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def read(self, name: str) -> Tensor:
        """A tensor on the CPU in the file's dtype, as a view of the memory-mapped file, which writing never changes.

        Of quantised types of GGUF it is diffusers' ``GGUFParameter`` with the blocks.

        Raises:
            ModelError: the file has changed since its header was read.
        """
        place = self.places[name]
        mapped, done = self._mappings.get(place, (None, 0))
        try:
            if mapped is None or done > MAPPED:
                mapped, done = _mapping(place, self.format), 0
            self._mappings[place] = mapped, done + self.tensors[name].size
            tensor: Tensor = mapped.get_tensor(name)
        except ModelError:
            raise
        except Exception as error:  # safetensors' own, and whatever torch says of a mapping
            raise damaged(place, error) from error
        return tensor

    def close(self) -> None:
        """Lets go of the mappings; tensors that were read keep theirs."""
        self._mappings.clear()


def read_headers(path: Path) -> WeightFiles:
    """What a file, the shards of an index, or the weights in a part's folder hold; no tensor is read, torch not needed.

    What a file is, its first bytes say, whatever it is called.

    Raises:
        ModelError: there is none, or it is a pickle, empty, cut short, or lacks a shard or a key of its index.
    """
    if path.is_dir():
        path = find_weights(path)
    if not path.is_file():
        raise ModelError(f"There is no file {path}.", remedy="Get the checkpoint anew, with all its files.")
    return _read_index(path) if path.suffix == ".json" else _read_file(path)


def _read_file(path: Path) -> WeightFiles:
    try:
        with path.open("rb") as stream:
            start = stream.read(9)
    except OSError as error:
        raise damaged(path, error) from error
    if start.startswith(b"GGUF"):
        from latentry_diffusers.files.gguf_file import read_gguf

        return read_gguf(path)
    if start[8:] != b"{" and (path.suffix in PICKLES or start.startswith((b"PK\x03\x04", b"\x80"))):
        raise pickle_refused(path)
    tensors, metadata = _safetensors(path)
    return WeightFiles((path,), tensors, dict.fromkeys(tensors, path), metadata)


def _safetensors(path: Path) -> tuple[dict[str, TensorHeader], dict[str, str]]:
    try:
        with _open(path, "np") as file:
            return {name: _header(file.get_slice(name)) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except Exception as error:  # safetensors' own, OSError, or a dtype that this version does not know
        raise damaged(path, error) from error


def _header(view: Any) -> TensorHeader:
    dtype, shape = str(view.get_dtype()), tuple(int(side) for side in view.get_shape())
    values = 1
    for side in shape:
        values *= side
    return TensorHeader(dtype, shape, values * BITS[dtype] // 8)


def _read_index(path: Path) -> WeightFiles:
    content = read_json(path) or {}
    places = content.get("weight_map")
    if not isinstance(places, dict) or not places or not all(map(_plain, places.values())):
        raise ModelError(
            f"{path} is no index of safetensors files.",
            why="It is to have a weight_map from each tensor to a file beside it.",
            remedy="Get the checkpoint anew.",
        )
    shards = {name: path.parent / name for name in dict.fromkeys(places.values())}
    for shard in shards.values():
        if not shard.is_file():
            raise ModelError(
                f"The shard {shard} is missing.",
                why=f"{path.name} says that {sum(name == shard.name for name in places.values()):,} tensors lie there.",
                remedy="Get the checkpoint anew, with all its files.",
            )
    read = {name: _read_file(shard) for name, shard in shards.items()}
    for key, name in places.items():
        if key not in read[name].tensors:
            raise ModelError(
                f"The shard {shards[name]} lacks {key}.",
                why=f"{path.name} says that it lies there.",
                remedy="Get the checkpoint anew: its shards and their index must belong together.",
            )
    metadata = {key: value for one in read.values() for key, value in one.metadata.items()}
    tensors = {key: read[name].tensors[key] for key, name in places.items()}
    return WeightFiles(tuple(shards.values()), tensors, {k: shards[name] for k, name in places.items()}, metadata)


def _plain(name: object) -> bool:
    """Whether it names a file of the same folder."""
    return isinstance(name, str) and name not in ("", ".", "..") and not {"/", "\\", "\0"} & set(name)


def _mapping(path: Path, kind: str) -> Any:
    """Something with ``get_tensor(name)``."""
    if kind == "gguf":
        from latentry_diffusers.files.gguf_file import GgufTensors

        return GgufTensors(path)
    return _open(path, "pt")


def _open(path: Path, framework: str) -> Any:
    from safetensors import safe_open

    return safe_open(path, framework)
