"""Locates each tensor of a network in weight files of any layout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from latentry_diffusers.bundle.networks import Config, Layout, PartSpec, common_name
from latentry_diffusers.files.gguf.values import dequantised, is_quantised
from latentry_diffusers.files.weight_files import WeightFiles
from latentry_diffusers.layouts.pair import Pair, forward

if TYPE_CHECKING:
    from torch import Tensor


def spellings(common: str) -> tuple[str, ...]:
    """All names that ``common_name`` maps to this one."""
    same = ("encoder.embed_tokens.weight",) if common == "shared.weight" else ()
    return (common, f"text_model.{common}", *same)


class Source(NamedTuple):
    """One tensor of a network.

    Attributes:
        weights: the files.
        key: the name in the file, of this tensor or of the one that contains it.
        pair: how it is made from that tensor; None where they are the same.
    """

    weights: WeightFiles
    key: str
    pair: Pair | None = None

    @property
    def is_there(self) -> bool:
        """Whether the files hold it."""
        return self.key in self.weights.tensors

    @property
    def dtype(self) -> str:
        """The dtype, in the file format's own spelling."""
        return self.weights.tensors[self.key].dtype

    @property
    def is_scaled(self) -> bool:
        """Whether it has a scale, which reading applies."""
        return self.key in self.weights.scales

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The shape that the network needs; None where the file's tensor cannot be split that way."""
        shape = self.weights.tensors[self.key].shape
        if self._is_whole(shape):
            return shape
        import torch  # only here, so that opening a checkpoint imports torch only if a tensor must be split

        try:
            return tuple(self._piece(name, torch.empty(shape, device="meta")).shape)
        except (RuntimeError, IndexError):
            return None

    def read(self, name: str) -> Tensor:
        """Reads the tensor on the CPU, as a view of the memory-mapped file wherever possible."""
        tensor, shape = self.weights.read(self.key), self.weights.tensors[self.key].shape
        if self._is_whole(shape):
            return tensor
        if is_quantised(tensor) and tensor.shape[0] != shape[0]:  # the rows of the file cannot be split as they are
            tensor = dequantised(tensor).reshape(shape)
        return self._piece(name, tensor)

    def read_float8(self, name: str) -> tuple[Tensor, Tensor] | None:
        """The values and their scales, as they are in the file; None where it does not hold them as float8 (e4m3).

        Or where several tensors of the network are one in the file, which has a scale for each row.
        """
        if self.dtype != "F8_E4M3":
            return None
        import torch

        whole = self._is_whole(self.weights.tensors[self.key].shape)
        scale = self.weights.read(self.weights.scales[self.key]) if self.is_scaled else torch.ones(1)
        if not whole and scale.numel() > 1:
            return None
        values = self.weights.stored(self.key)
        if not whole:  # pieces are taken of bytes, since torch does not do it with float8
            values = self._piece(name, values.view(torch.uint8)).view(torch.float8_e4m3fn)
        return values, scale

    def _is_whole(self, shape: Sequence[int]) -> bool:
        """Whether the file's tensor is the network's; some files hold 1×1 convolutions as linear layers already."""
        pair = self.pair
        plain = pair is None or pair.form == "same" or (pair.form == "conv" and len(shape) == 2)
        return plain and (pair is None or len(pair.diffusers) == 1)

    def _piece(self, name: str, tensor: Tensor) -> Tensor:
        assert self.pair is not None
        return next(piece for full, piece in forward(self.pair, tensor).items() if common_name(full) == name)


@dataclass(frozen=True)
class Part:
    """One network of a checkpoint, not yet loaded.

    Attributes:
        spec: what it is.
        config: its configuration in the keys of diffusers or transformers.
        origin: the file or folder that its weights come from.
        weights: the files.
        prefix: how the names of its tensors in the files begin.
        layout: the layout of the files; None for the network's own.
    """

    spec: PartSpec
    config: Config
    origin: Path
    weights: WeightFiles
    prefix: str = ""
    layout: Layout | None = None

    @cached_property
    def sources(self) -> Mapping[str, Source]:
        """Where each tensor lies, by ``common_name``; in another layout also tensors that the files lack."""
        if self.layout is None:
            keys = (key for key in self.weights.tensors if key.startswith(self.prefix))
            return {common_name(key.removeprefix(self.prefix)): Source(self.weights, key) for key in keys}
        return {
            common_name(name): Source(self.weights, self.prefix + pair.original, pair)
            for pair in self.layout.pairs(self.config)
            for name in pair.diffusers
        }

    @property
    def implied(self) -> frozenset[str]:
        """Matrices that the file leaves out because they are the identity."""
        names = () if self.origin.is_dir() else self.spec.identities
        return frozenset(name for name in names if name not in self.sources or not self.sources[name].is_there)

    def check_witness(self) -> str | None:
        """What is wrong with the shape of the witness; None where it agrees with the configuration."""
        network = self.spec.network
        pair = self.layout.witness if self.layout else None
        names = [pair.original] if pair else spellings(network.witness)
        key = next(self.prefix + name for name in names if self.prefix + name in self.weights.tensors)
        found, wanted = Source(self.weights, key, pair).shape(network.witness), network.shape(self.config)
        return None if found == wanted else f"{key} gives the shape {found}; the published network has {wanted}."


def find_parts(spec: PartSpec, config: Config, origin: Path, weights: WeightFiles) -> Iterator[Part]:
    """A network in files of weights, once for each prefix and layout in which they hold its witness; usually one.

    Args:
        spec: the part.
        config: its configuration.
        origin: where the files lie.
        weights: the files.
    """
    own = spellings(spec.network.witness)
    for prefix in (*spec.prefixes, ""):
        if any(prefix + name in weights.tensors for name in own):
            yield Part(spec, config, origin, weights, prefix)
        for layout in spec.network.layouts:
            if prefix + layout.witness.original in weights.tensors:
                yield Part(spec, config, origin, weights, prefix, layout)
