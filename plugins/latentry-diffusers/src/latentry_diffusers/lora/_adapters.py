"""The LoRAs that change one model at present."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from latentry import LoraMode, LoraRequest, ModelError
from latentry.models import LoraMatch
from latentry_diffusers.bundle.open import Bundle
from latentry_diffusers.layouts import Pair
from latentry_diffusers.loading.build import build
from latentry_diffusers.lora._delta import Delta, check_mergeable
from latentry_diffusers.lora._described import named
from latentry_diffusers.lora._file import LoraFile, read_lora
from latentry_diffusers.lora._match import Matched, match
from latentry_diffusers.lora._names import DENOISERS, DOTTED, Place, changeable, places
from latentry_diffusers.lora._settings import settings_file


class Setting(NamedTuple):
    """What LoRAs do, by part and layer, and in which way."""

    deltas: Mapping[tuple[str, str], Delta]
    mode: LoraMode


class Adapters:
    """Changes a model by LoRAs and takes them off again.

    Args:
        networks: by part, as ``latentry.models.Model.networks``.
        originals: gives the denoiser's names in its original layout.
    """

    def __init__(self, networks: Mapping[str, nn.Module], originals: Callable[[], Sequence[Pair]]) -> None:
        self._networks, self._originals = networks, originals
        self._now = Setting({}, "unmerged")
        self._undo: list[Callable[[], None]] = []

    @cached_property
    def _layers(self) -> Mapping[str, Mapping[str, nn.Linear | nn.Conv2d]]:
        return {part: changeable(network) for part, network in self._networks.items()}

    @cached_property
    def _known(self) -> Mapping[str, Place]:
        return places(self._networks, self._original_names())

    def _original_names(self) -> Sequence[Pair]:
        try:
            return self._originals()
        except ModelError:  # a network that the original layout has no names for; diffusers' still hold
            return ()

    def matches(self, paths: Sequence[Path]) -> tuple[LoraMatch, ...]:
        """See ``latentry.models.Checkpoint.match_loras``; the networks may be on the meta device."""
        return tuple(self._match_told(path) for path in paths)

    def _match_told(self, path: Path) -> LoraMatch:
        file, matched = self._matched(path)
        notes = list(file.notes)
        if matched.unmatched:
            share = f"{len(matched.unmatched)} of {len(file.weights.tensors)}"
            notes.append(
                f"{file.path.name} holds keys that belong to no layer of this model and have no effect ({share}): "
                f"{named(matched.unmatched)}."
            )
        parts = tuple(dict.fromkeys(change.part for change in matched.changes))
        beside = settings_file(file.path, file.weights.metadata)
        return LoraMatch(file.path, parts, len(matched.changes), matched.unmatched, tuple(notes), beside)

    def set(self, loras: Sequence[LoraRequest], mode: LoraMode) -> AbstractContextManager[None]:
        """See ``latentry.models.Model.set_loras``. Nothing is changed where it raises."""
        wanted = Setting(self._deltas(loras), mode)
        if mode == "merged":
            for part, name in wanted.deltas:
                check_mergeable(part, name, self._layers[part][name])
        before = self._now
        try:
            self._apply(wanted)
        except BaseException:
            self._apply(before)
            raise
        return self._restoring(before)

    def _deltas(self, loras: Sequence[LoraRequest]) -> dict[tuple[str, str], Delta]:
        pairs: dict[tuple[str, str], list[tuple[Tensor, Tensor]]] = {}
        for lora in loras:
            for change in self._matched(Path(lora.path))[1].changes:
                if weight := lora.weight_of(change.part):
                    down, up = change.factors()
                    pairs.setdefault((change.part, change.name), []).append((down, weight * up))
        return {place: Delta(each) for place, each in pairs.items()}

    def _matched(self, path: Path) -> tuple[LoraFile, Matched]:
        file = read_lora(path)
        matched = match(file, self._known, self._layers)
        file.check_values()
        return file, matched

    def _apply(self, setting: Setting) -> None:
        """Takes off what there is, and then puts on."""
        while self._undo:
            self._undo.pop()()
        self._now = setting
        for (part, name), delta in setting.deltas.items():
            layer = self._layers[part][name]
            self._undo.append(delta.within(layer) if setting.mode == "merged" else delta.beside(layer))

    @contextmanager
    def _restoring(self, before: Setting) -> Iterator[None]:
        try:
            yield
        finally:
            self._apply(before)


def match_loras(bundle: Bundle, paths: Sequence[Path]) -> tuple[LoraMatch, ...]:
    """See ``latentry.models.Checkpoint.match_loras``; the networks are built without memory.

    Args:
        bundle: the checkpoint's parts.
        paths: the LoRAs.
    """
    parts = {name: part for name, part in bundle.parts.items() if name in DOTTED}

    def originals() -> Sequence[Pair]:
        denoiser = next(parts[name] for name in DENOISERS if name in parts)
        return [pair for layout in denoiser.spec.network.layouts for pair in layout.pairs(denoiser.config)]

    return Adapters({name: build(part) for name, part in parts.items()}, originals).matches(paths)
