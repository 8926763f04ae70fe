"""The tensors of a part to be written, under the names of one layout or another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from latentry import IncompatibleError
from latentry_diffusers.bundle.networks import Pairs, common_name
from latentry_diffusers.bundle.sources import Part
from latentry_diffusers.files.headers import DTYPES
from latentry_diffusers.files.safetensors_writer import Entry
from latentry_diffusers.layouts.clip import ROOT
from latentry_diffusers.layouts.pair import Pair, backward
from latentry_diffusers.loading.build import build
from latentry_diffusers.loading.load import check_fit


@dataclass(frozen=True)
class Contents:
    """One part of a checkpoint.

    Attributes:
        part: where its tensors lie.
        network: the network on the meta device.
        shapes: by ``common_name``.
        dtype: of floating point tensors in the file; None keeps each tensor's own.
    """

    part: Part
    network: Any
    shapes: Mapping[str, tuple[int, ...]]
    dtype: torch.dtype | None

    def own(self) -> Iterator[Entry]:
        """The tensors under their names in published diffusers folders."""
        clip = self.part.spec.network.target.startswith("transformers:CLIP")
        for name in self.shapes:
            root = ROOT if clip and not name.startswith("text_projection.") else ""
            yield self._entry(Pair(f"{root}{name}", (name,)))

    def original(self, prefix: str, layout: Pairs) -> Iterator[Entry]:
        """The tensors under their names in an original layout."""
        for pair in layout(self.part.config):
            yield self._entry(replace(pair, original=f"{prefix}{pair.original}"))

    def _entry(self, pair: Pair) -> Entry:
        empty = {name: self._empty(common_name(name)) for name in pair.diffusers}
        written = backward(pair, empty)
        return Entry(pair.original, tuple(written.shape), written.dtype, partial(self._read, pair))

    def _empty(self, name: str) -> Tensor:
        dtype = _torch(self.part, name, self.dtype)
        return torch.empty(self.shapes[name], dtype=dtype, device="meta")

    def _read(self, pair: Pair) -> Tensor:
        tensors = {name: self._one(common_name(name)) for name in pair.diffusers}
        return backward(pair, tensors)

    def _one(self, name: str) -> Tensor:
        tensor, dtype = self.part.sources[name].read(name), _torch(self.part, name, self.dtype)
        if self.part.weights.format == "gguf":
            from latentry_diffusers.files.gguf.values import dequantised, is_quantised

            tensor = dequantised(tensor, dtype) if is_quantised(tensor) else tensor
        return tensor.to(dtype).reshape(self.shapes[name])  # some GGUF files drop leading dimensions of 1


def contents(part: Part, dtype: torch.dtype | None, *, remedy: str) -> Contents:
    """A part, after checking that its tensors are all there and have the shapes of its network.

    Args:
        part: of a checkpoint.
        dtype: to write; None keeps each tensor's own.
        remedy: last sentence of the error for weights that do not fit.

    Raises:
        ModelError: tensors are missing or have other shapes.
        IncompatibleError: they are quantised, and no dtype was given.
    """
    network = build(part)
    check_fit(part, network, remedy=remedy)
    shapes = {common_name(name): tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    return Contents(part, network, shapes, dtype)


def _torch(part: Part, name: str, asked: torch.dtype | None) -> torch.dtype:
    source = part.sources[name]
    if source.dtype == "I64":  # a counter, such as that of a normalisation's batches
        return torch.int64
    if asked is None and (source.dtype not in DTYPES or source.is_scaled):
        raise IncompatibleError(
            f"{part.origin} holds quantised weights, which these layouts have no place for.",
            why=f"{source.key} is {source.dtype}{' with a scale' if source.is_scaled else ''}.",
            remedy="Give --dtype, e.g. --dtype bfloat16, to write them dequantised.",
        )
    own: torch.dtype = asked or getattr(torch, DTYPES[source.dtype])
    return own
