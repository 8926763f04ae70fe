"""LoRAs of plain networks: W + (alpha / rank)·up·down for each layer (Hu et al. 2021, arXiv:2106.09685, eq. 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear

from latentry._bases._factors import Factors, read_factors
from latentry._contract._lora import LoraMatch, LoraMode, LoraRequest
from latentry._errors import IncompatibleError

DENOISERS = ("denoiser", "unet", "transformer")
"""Parts that are evaluated at every step. Files may leave out their name."""
Layer = nn.Linear | nn.Conv2d


class Place(NamedTuple):
    """A layer that a LoRA can change."""

    part: str
    name: str
    layer: Layer


class Setting(NamedTuple):
    """What the LoRAs of a request do together, by layer, and how they are applied."""

    changes: Mapping[Layer, Factors]
    mode: LoraMode


class Loras:
    """Changes linear layers and convolutions by LoRAs, and takes the changes away again.

    Args:
        networks: by part, as ``latentry.models.Model.networks``; on the meta device they can be matched.
    """

    def __init__(self, networks: Mapping[str, nn.Module]) -> None:
        self._places = dict(_places(networks))
        self._current = Setting({}, "unmerged")
        self._undo: list[Callable[[], None]] = []

    def match(self, path: Path) -> LoraMatch:
        """What one file does to the model; see ``latentry.models.Checkpoint.match_loras``."""
        file = read_factors(path)
        found = [self._places[name] for name in file if name in self._places]
        unmatched = tuple(name for name in file if name not in self._places)
        if not found:
            raise IncompatibleError(
                f"The LoRA {path} changes no layer of this model.",
                why=f"It is for {unmatched[0]}{f' and {len(unmatched) - 1} more' if unmatched[1:] else ''}.",
                remedy="Use a LoRA for this model, or the model that this LoRA is for.",
                field="loras",
            )
        for name in file.keys() & self._places.keys():
            self._check_shape(path, name, file[name])
        notes = (f"{path.name} is also for layers that this model does not have: {', '.join(unmatched[:3])}.",)
        parts = tuple(dict.fromkeys(place.part for place in found))
        return LoraMatch(path, parts, len(found), unmatched, notes if unmatched else ())

    def _check_shape(self, path: Path, name: str, factors: Factors) -> None:
        wanted = tuple(self._places[name].layer.weight.shape)
        if factors.shape != wanted:
            raise IncompatibleError(
                f"The LoRA {path} does not fit this model.",
                why=f"It changes a weight {factors.shape} of {name}, which has {wanted}.",
                remedy="Use a LoRA for this model, or the model that this LoRA is for.",
                field="loras",
            )

    def set(self, loras: Sequence[LoraRequest], mode: LoraMode) -> AbstractContextManager[None]:
        """See ``latentry.models.Model.set_loras``. Where it raises, nothing has changed."""
        wanted, before = Setting(self._changes(loras), mode), self._current
        try:
            self._apply(wanted)
        except BaseException:
            self._apply(before)
            raise
        return self._restoring(before)

    def _changes(self, loras: Sequence[LoraRequest]) -> dict[Layer, Factors]:
        """The product of all LoRAs for each layer; its rank is the sum of theirs."""
        found: dict[Layer, list[Factors]] = {}
        for lora in loras:
            path = Path(lora.path)
            self.match(path)
            for name, factors in read_factors(path).items():
                place = self._places.get(name)
                if place is not None and (weight := lora.weight_of(place.part)):
                    found.setdefault(place.layer, []).append(Factors(weight * factors.up, factors.down))
        return {
            layer: Factors(torch.cat([each.up for each in all_], 1), torch.cat([each.down for each in all_]))
            for layer, all_ in found.items()
        }

    def _apply(self, setting: Setting) -> None:
        """Takes the present changes away, and makes others."""
        while self._undo:
            self._undo.pop()()
        self._current = setting
        for layer, factors in setting.changes.items():
            if setting.mode == "merged":
                self._undo.append(_merge(layer, factors))
            else:
                self._undo.append(layer.register_forward_hook(_Beside(factors)).remove)

    @contextmanager
    def _restoring(self, before: Setting) -> Iterator[None]:
        try:
            yield
        finally:
            self._apply(before)


def _places(networks: Mapping[str, nn.Module]) -> Iterator[tuple[str, Place]]:
    for part, network in networks.items():
        for name, layer in network.named_modules():
            if isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.groups == 1):
                place = Place(part, name, layer)
                yield f"{part}.{name}", place
                if part in DENOISERS:
                    yield name, place


class _Beside:
    """A forward hook that adds up·down·x to a layer's output; the layer and its weight stay as they are."""

    def __init__(self, factors: Factors) -> None:
        self._own, self._placed = factors, factors

    def __call__(self, layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> Tensor:
        x = given[0]
        if self._placed.up.device != x.device or self._placed.up.dtype != x.dtype:
            with torch.inference_mode(False), torch.no_grad():  # what is kept may be used under autograd later
                self._placed = Factors(*(tensor.to(x.device, x.dtype) for tensor in self._own))
        up, down = self._placed
        if isinstance(layer, nn.Conv2d):
            return output + conv2d(layer._conv_forward(x, down, None), up[:, :, None, None])
        return output + linear(linear(x, down), up)


def _merge(layer: Layer, factors: Factors) -> Callable[[], None]:
    """Adds up·down to a layer's weight, and returns what puts the old one back, bit for bit."""
    before = layer.weight.data
    change = (factors.up @ factors.down.flatten(1)).view(before.shape)
    layer.weight.data = (before.float() + change.to(before.device)).to(before.dtype)

    def restore() -> None:
        layer.weight.data = before.to(layer.weight.device)

    return restore
