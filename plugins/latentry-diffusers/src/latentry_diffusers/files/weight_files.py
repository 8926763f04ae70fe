"""Tensors in weight files: their headers, and the tensors themselves on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from latentry import ModelError
from latentry_diffusers.files.errors import damaged
from latentry_diffusers.files.scales import find_scales, scaled
from latentry_diffusers.files.tensor_header import TensorHeader

if TYPE_CHECKING:
    from torch import Tensor

MAPPED = 1 << 28
"""Bytes read through one memory mapping; a new one releases the pages of tensors that were moved elsewhere."""


class MappedFile(Protocol):
    """One memory-mapped file of weights."""

    def get_tensor(self, name: str, /) -> Tensor:
        """A tensor on the CPU, a view of the mapping."""
        ...


@dataclass(frozen=True)
class WeightFiles:
    """The tensors of one file, or of the shards of one index.

    Attributes:
        files: the files they lie in.
        tensors: their headers by name.
        places: the file of each tensor.
        metadata: what the files say of themselves.
        format: of the files.
        open: maps one of the files into memory.
    """

    files: tuple[Path, ...]
    tensors: Mapping[str, TensorHeader]
    places: Mapping[str, Path]
    metadata: Mapping[str, str]
    format: Literal["safetensors", "gguf"]
    open: Callable[[Path], MappedFile] = field(repr=False, compare=False)
    _mappings: dict[Path, tuple[MappedFile, int]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def scales(self) -> Mapping[str, str]:
        """Maps float8 weights to the names of their scales, which may lie in another shard."""
        return find_scales(self.tensors)

    def read(self, name: str) -> Tensor:
        """A tensor on the CPU in the file's dtype, as a view of the memory-mapped file, which writing never changes.

        A float8 weight with a scale is float32, with the scale applied. A quantised tensor of a GGUF file is diffusers'
        ``GGUFParameter``, which holds the packed blocks.

        Raises:
            ModelError: the file has changed since its header was read.
        """
        tensor = self.stored(name)
        return scaled(tensor, self.read(self.scales[name])) if name in self.scales else tensor

    def stored(self, name: str) -> Tensor:
        """The same without the scale."""
        place = self.places[name]
        mapped, done = self._mappings.get(place, (None, 0))
        try:
            if mapped is None or done > MAPPED:
                mapped, done = self.open(place), 0
            self._mappings[place] = mapped, done + self.tensors[name].size
            return mapped.get_tensor(name)
        except ModelError:
            raise
        except Exception as error:  # safetensors raises its own errors, and torch whatever a mapping runs into
            raise damaged(place, error) from error

    def close(self) -> None:
        """Drops the mappings; tensors that were read keep theirs alive."""
        self._mappings.clear()
