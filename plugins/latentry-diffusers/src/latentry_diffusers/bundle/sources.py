"""Where each tensor of a network lies in files of weights, whatever layout they have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch

from latentry_diffusers.bundle.networks import Config, PartSpec, common_name
from latentry_diffusers.files.weight_files import WeightFiles
from latentry_diffusers.layouts.pair import Pair, forward

if TYPE_CHECKING:
    from torch import Tensor


class Source(NamedTuple):
    """One tensor of a network.

    Attributes:
        weights: the files.
        key: its name there, or that of the tensor it is a piece of.
        pair: how it comes from that; None where it is that.
    """

    weights: WeightFiles
    key: str
    pair: Pair | None = None

    @property
    def there(self) -> bool:
        """Whether the files have it."""
        return self.key in self.weights.tensors

    @property
    def dtype(self) -> str:
        """In the words of the format."""
        return self.weights.tensors[self.key].dtype

    def shape(self, name: str) -> tuple[int, ...] | None:
        """As the network is to have it; None where the file's tensor cannot be taken apart so."""
        shape = self.weights.tensors[self.key].shape
        if self._is_whole(shape):
            return shape
        try:
            return tuple(self._piece(name, torch.empty(shape, device="meta")).shape)
        except (RuntimeError, IndexError):
            return None

    def read(self, name: str) -> Tensor:
        """On the CPU, a view of the memory-mapped file wherever that can be."""
        tensor = self.weights.read(self.key)
        return tensor if self._is_whole(tensor.shape) else self._piece(name, tensor)

    def _is_whole(self, shape: Sequence[int]) -> bool:
        """Whether the file's tensor is the network's; some files have 1×1 convolutions as linear layers already."""
        pair = self.pair
        plain = pair is None or pair.form == "same" or (pair.form == "conv" and len(shape) == 2)
        return plain and (pair is None or len(pair.diffusers) == 1)

    def _piece(self, name: str, tensor: Tensor) -> Tensor:
        assert self.pair is not None
        return next(piece for full, piece in forward(self.pair, tensor).items() if common_name(full) == name)


class Tensors(NamedTuple):
    """Those of one network.

    Attributes:
        prefix: what their names in the files begin with.
        sources: by ``common_name``, in a layout that is not the network's own also those that the files lack.
    """

    prefix: str
    sources: Mapping[str, Source]


@dataclass(frozen=True)
class Part:
    """One network of a checkpoint, not yet loaded.

    Attributes:
        spec: what it is.
        config: its configuration in the keys of diffusers or transformers.
        origin: the file or folder that its weights come from.
        weights: the files.
        tensors: where they are.
    """

    spec: PartSpec
    config: Config
    origin: Path
    weights: WeightFiles
    tensors: Tensors

    @property
    def implied(self) -> frozenset[str]:
        """Matrices that the file leaves out, being the identity."""
        sources, names = self.tensors.sources, () if self.origin.is_dir() else self.spec.identities
        return frozenset(name for name in names if name not in sources or not sources[name].there)


def find_tensors(spec: PartSpec, config: Config, weights: WeightFiles, *, exact: bool) -> Tensors | None:
    """The tensors of a part, in the one layout that the files have it in; None where they do not have it.

    Args:
        spec: the part.
        config: its configuration.
        weights: the files.
        exact: the witness must also have the shape that the configuration says, as among several text encoders.
    """
    for tensors in _candidates(spec, config, weights):
        witness = tensors.sources.get(spec.network.witness)
        if witness is None or not witness.there:
            continue
        if not exact or witness.shape(spec.network.witness) == spec.network.shape(config):
            return tensors
    return None


def own_tensors(weights: WeightFiles, prefix: str = "") -> Tensors:
    """The tensors under the network's own names."""
    keys = (key for key in weights.tensors if key.startswith(prefix))
    return Tensors(prefix, {common_name(key.removeprefix(prefix)): Source(weights, key) for key in keys})


def _candidates(spec: PartSpec, config: Config, weights: WeightFiles) -> Iterator[Tensors]:
    for prefix in (*spec.prefixes, ""):
        if not any(key.startswith(prefix) for key in weights.tensors):
            continue
        yield own_tensors(weights, prefix)
        for layout in spec.network.layouts:
            sources = {
                common_name(name): Source(weights, f"{prefix}{pair.original}", pair)
                for pair in layout(config)
                for name in pair.diffusers
            }
            yield Tensors(prefix, sources)
