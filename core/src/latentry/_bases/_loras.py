"""LoRAs of plain networks: W + (alpha / rank)·up·down for each layer (Hu et al. 2021, arXiv:2106.09685, eq. 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear

from latentry._bases._factors import Factors, read_factors
from latentry._bases._lora_state import LoraState
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


class Part(NamedTuple):
    """What one LoRA does to a layer.

    Attributes:
        factors: without its weight.
        weight: of the LoRA; where that changes over a run, the one at its start.
        curve: which of the weights that change it is; None for none.
    """

    factors: Factors
    weight: float
    curve: int | None


class Setting(NamedTuple):
    """What the LoRAs of a request do, by layer, and how they are applied."""

    changes: Mapping[Layer, Sequence[Part]]
    mode: LoraMode


class Loras:
    """Changes linear layers and convolutions by LoRAs, and takes the changes away again.

    Args:
        networks: by part, as ``latentry.models.Model.networks``; on the meta device they can be matched.
    """

    def __init__(self, networks: Mapping[str, nn.Module]) -> None:
        self._places = dict(_places(networks))
        self._state: LoraState[Setting, tuple[float, ...]] = LoraState(Setting({}, "unmerged"))

    def match(self, path: Path) -> LoraMatch:
        """What one file does to the model; see ``latentry.models.Checkpoint.match_loras``."""
        read = read_factors(path)
        file = read.layers
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
        notes = read.notes
        if unmatched:
            notes += (f"{path.name} is also for layers that this model does not have: {', '.join(unmatched[:3])}.",)
        parts = tuple(dict.fromkeys(place.part for place in found))
        # only the denoiser is told the weights of an evaluation: what runs after it, as a VAE, has those that are set
        varies = all(part in DENOISERS or part.startswith("text_encoder") for part in parts)
        return LoraMatch(path, parts, len(found), unmatched, notes, read.settings, varies)

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
        if mode == "merged" and any(lora.curve is not None for lora in loras):
            raise IncompatibleError(
                "A LoRA whose weight changes over the run cannot be merged.",
                why="It would be merged into the model's weights once.",
                remedy="Use it unmerged, which is the default.",
                field="loras",
            )
        return self._state.set(Setting(self._changes(loras), mode), self._made)

    def weighing(self, weights: Sequence[Sequence[float]]) -> AbstractContextManager[None]:
        """See ``latentry.models.VariesLoras``; the rows are alike."""
        return self._state.weighing(tuple(weights[0]))

    def _changes(self, loras: Sequence[LoraRequest]) -> dict[Layer, list[Part]]:
        found: dict[Layer, list[Part]] = {}
        curves = 0
        for lora in loras:
            path = Path(lora.path)
            self.match(path)
            for name, factors in read_factors(path).layers.items():
                if (place := self._places.get(name)) is None:
                    continue
                curve = None if lora.curve is None or place.part.startswith("text_encoder") else curves
                if (weight := lora.weight_of(place.part)) or curve is not None:
                    found.setdefault(place.layer, []).append(Part(factors, weight, curve))
            curves += lora.curve is not None
        return found

    def _made(self, setting: Setting) -> Iterator[Callable[[], None]]:
        state = self._state
        for layer, parts in setting.changes.items():
            if setting.mode == "merged":
                yield _merge(layer, _together(parts, None))
            else:
                yield layer.register_forward_hook(_Beside(parts, lambda: state.weights)).remove


def _places(networks: Mapping[str, nn.Module]) -> Iterator[tuple[str, Place]]:
    for part, network in networks.items():
        for name, layer in network.named_modules():
            if isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.groups == 1):
                place = Place(part, name, layer)
                yield f"{part}.{name}", place
                if part in DENOISERS:
                    yield name, place


class _Beside:
    """A forward hook that adds up·down·x to a layer's output; the layer and its weight stay as they are.

    Args:
        parts: what each LoRA adds.
        weights: gives the weights that change, as they are at present; None for those of the start.
    """

    def __init__(self, parts: Sequence[Part], weights: Callable[[], tuple[float, ...] | None]) -> None:
        self._parts, self._weights = parts, weights
        self._varies = any(part.curve is not None for part in parts)
        self._placed: tuple[object, Factors] | None = None

    def __call__(self, layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> Tensor:
        x = given[0]
        weights = self._weights() if self._varies else None
        placed = self._placed
        if placed is None or placed[0] != (x.device, x.dtype, weights):
            with torch.inference_mode(False), torch.no_grad():  # what is kept may be used under autograd later
                # copied once: from then on weights change without a copy from the host
                self._parts = [part._replace(factors=part.factors.to(x.device)) for part in self._parts]
                factors = _together(self._parts, weights)
                self._placed = placed = ((x.device, x.dtype, weights), factors.to(x.dtype))
        up, down = placed[1]
        if isinstance(layer, nn.Conv2d):
            return output + conv2d(layer._conv_forward(x, down, None), up[:, :, None, None])
        return output + linear(linear(x, down), up)


def _together(parts: Sequence[Part], weights: tuple[float, ...] | None) -> Factors:
    """The product of all LoRAs; its rank is the sum of theirs."""
    now = [part.weight if weights is None or part.curve is None else weights[part.curve] for part in parts]
    ups = [weight * part.factors.up for weight, part in zip(now, parts, strict=True)]
    return Factors(torch.cat(ups, 1), torch.cat([part.factors.down for part in parts]))


def _merge(layer: Layer, factors: Factors) -> Callable[[], None]:
    """Adds up·down to a layer's weight, and returns what puts the old one back, bit for bit."""
    before = layer.weight.data
    change = (factors.up @ factors.down.flatten(1)).view(before.shape)
    layer.weight.data = (before.float() + change.to(before.device)).to(before.dtype)

    def restore() -> None:
        layer.weight.data = before.to(layer.weight.device)

    return restore
