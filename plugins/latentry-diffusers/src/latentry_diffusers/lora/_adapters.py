"""The adapters that change one model at present."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, cast

from torch import Tensor, nn

from latentry import LoraMode, LoraRequest, ModelError
from latentry.models import LoraMatch, LoraState
from latentry_diffusers.bundle.open import Bundle
from latentry_diffusers.layouts import Pair
from latentry_diffusers.loading.build import build
from latentry_diffusers.lora._build import build_changes, together
from latentry_diffusers.lora._layer_change import Layer, LayerChange, check_mergeable, own_weight
from latentry_diffusers.lora._match import Matched, match
from latentry_diffusers.lora._over_run import ChangeOverRun, Part, RowWeights, Weights
from latentry_diffusers.lora._reading._description import listed
from latentry_diffusers.lora._reading._file import LoraFile, read_lora
from latentry_diffusers.lora._reading._settings import settings_file
from latentry_diffusers.lora._targets import DENOISERS, DOTTED, Target, changeable, find_targets
from latentry_diffusers.lora._terms import ReadWeight


class Setting(NamedTuple):
    """What the adapters do, by part and layer, and how they are applied."""

    changes: Mapping[tuple[str, str], LayerChange | ChangeOverRun]
    mode: LoraMode


class Adapters:
    """Changes a model by LoRAs and adapters of related kinds, and removes the changes again.

    Args:
        networks: by part, as ``latentry.models.Model.networks``.
        originals: gives the denoiser's names in its original layout.
    """

    def __init__(self, networks: Mapping[str, nn.Module], originals: Callable[[], Sequence[Pair]]) -> None:
        self._networks, self._originals = networks, originals
        self._state: LoraState[Setting, RowWeights] = LoraState(Setting({}, "unmerged"))

    @cached_property
    def _layers(self) -> Mapping[str, Mapping[str, Layer]]:
        return {part: changeable(network) for part, network in self._networks.items()}

    @cached_property
    def _known(self) -> Mapping[str, Target]:
        return find_targets(self._networks, self._original_names())

    def _original_names(self) -> Sequence[Pair]:
        try:
            return self._originals()
        except ModelError:  # a network that the original layout has no names for; diffusers' names still hold
            return ()

    def matches(self, paths: Sequence[Path]) -> tuple[LoraMatch, ...]:
        """Implements ``latentry.models.Checkpoint.match_loras``. The networks may be on the meta device."""
        return tuple(self._match_one(path) for path in paths)

    def _match_one(self, path: Path) -> LoraMatch:
        file, matched = self._matched(path)
        file.check_values()
        notes = list(file.notes)
        if matched.unmatched:
            share = f"{len(matched.unmatched)} of {len(file.weights.tensors)}"
            notes.append(
                f"{file.path.name} holds keys that belong to no layer of this model and have no effect ({share}): "
                f"{listed(matched.unmatched)}."
            )
        parts = tuple(dict.fromkeys(each.target.part for each in matched.layers))
        layers = sum(len(each.target.layers) for each in matched.layers)
        settings = settings_file(file.path, file.weights.metadata)
        return LoraMatch(file.path, parts, layers, matched.unmatched, tuple(notes), settings, varies=True)

    def set(self, loras: Sequence[LoraRequest], mode: LoraMode) -> AbstractContextManager[None]:
        """Implements ``latentry.models.Model.set_loras``. If it raises, nothing has changed."""
        wanted = Setting(self._changes(loras), mode)
        if mode == "merged":
            for part, name in wanted.changes:
                check_mergeable(part, name, self._layers[part][name])
        return self._state.set(wanted, self._made)

    def weighing(self, weights: Sequence[Sequence[float]]) -> AbstractContextManager[None]:
        """Implements ``latentry.models.VariesLoras``."""
        return self._state.weighing(RowWeights(weights))

    def _changes(self, loras: Sequence[LoraRequest]) -> dict[tuple[str, str], LayerChange | ChangeOverRun]:
        found: dict[tuple[str, str], list[Part]] = {}
        first: list[float] = []
        for lora in loras:
            curve = None if lora.curve is None else len(first)
            first += [] if lora.curve is None else [lora.curve.first]
            file, matched = self._matched(Path(lora.path))
            for each in matched.layers:
                part = each.target.part
                varies = None if part.startswith("text_encoder") else curve
                if weight := lora.weight_of(part) if varies is None else 1.0:
                    for change in build_changes(file, each, self._layers[part], weight):
                        found.setdefault((part, change.name), []).append(Part(change, varies))
        return {place: self._together(parts, tuple(first)) for place, parts in found.items()}

    def _together(self, parts: Sequence[Part], first: Weights) -> LayerChange | ChangeOverRun:
        if all(part.curve is None for part in parts):
            return together([part.change for part in parts])
        state, start = self._state, RowWeights((first,))
        return ChangeOverRun(parts, lambda: state.weights or start)

    def _matched(self, path: Path) -> tuple[LoraFile, Matched]:
        file = read_lora(path)
        return file, match(file, self._known, self._layers)

    def _made(self, setting: Setting) -> Iterator[Callable[[], None]]:
        read = _unmerged_weights(setting.changes.values())
        for (part, name), change in setting.changes.items():
            layer = self._layers[part][name]
            yield change.merge(layer, read) if setting.mode == "merged" else change.add_hook(layer)


def _unmerged_weights(changes: Iterable[LayerChange | ChangeOverRun]) -> ReadWeight:
    """Returns a function that reads the layers' unmerged weights while they are merged one after another.

    It keeps only the weights that several changes read, since each one takes memory that merging would free.
    """
    shared = frozenset[nn.Module]().union(*(change.reads for change in changes))
    own = {layer: cast(Tensor, layer.weight).data for layer in shared}

    def read(layer: nn.Module) -> Tensor:
        return own[layer].float().flatten(1) if layer in own else own_weight(layer)

    return read


def match_loras(bundle: Bundle, paths: Sequence[Path]) -> tuple[LoraMatch, ...]:
    """Implements ``latentry.models.Checkpoint.match_loras``, with networks on the meta device.

    Args:
        bundle: the checkpoint's parts.
        paths: the LoRAs' files or folders.
    """
    parts = {name: part for name, part in bundle.parts.items() if name in DOTTED}

    def originals() -> Sequence[Pair]:
        denoiser = next(parts[name] for name in DENOISERS if name in parts)
        return [pair for layout in denoiser.spec.network.layouts for pair in layout.pairs(denoiser.config)]

    return Adapters({name: build(part) for name, part in parts.items()}, originals).matches(paths)
