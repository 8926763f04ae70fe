"""The file of an adapter: the layers it changes, under the file's own names for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from latentry import ModelError
from latentry_diffusers.files.read import read_headers
from latentry_diffusers.files.weight_files import WeightFiles
from latentry_diffusers.lora._reading._settings import ROOT, PartSettings, Settings, read_settings, settings_of
from latentry_diffusers.lora._shapes import (
    Made,
    ShapeFault,
    Shapes,
    difference,
    hadamard,
    kronecker,
    low_rank,
    rotation,
)
from latentry_diffusers.recognise.adapter_keys import split_key, unsupported
from latentry_diffusers.recognise.kinds import kind_of

NAMES = ("adapter_model.safetensors", "pytorch_lora_weights.safetensors")
"""What PEFT and diffusers call the file when they save a folder."""


class Kind(NamedTuple):
    """A kind of adapter.

    Attributes:
        name: for messages.
        slots: a layer of this kind has at least one of them.
        complete: sets of slots; a layer must have one set of each line.
        made: computes the shape of the weight that they make, from their shapes.
    """

    name: str
    slots: frozenset[str]
    complete: tuple[tuple[frozenset[str], ...], ...]
    made: Callable[[Shapes], Made]


def _kind(name: str, made: Callable[[Shapes], Made], *complete: str) -> Kind:
    """Makes a kind; each of ``complete`` is a line of alternative sets, such as ``"w1 | w1_a w1_b"``."""
    lines = tuple(tuple(frozenset(each.split()) for each in line.split("|")) for line in complete)
    return Kind(name, frozenset(slot for line in lines for each in line for slot in each), lines, made)


KINDS = (
    _kind("LoRA", low_rank, "down up"),
    _kind("LoHa", hadamard, "hada_w1_a hada_w1_b", "hada_w2_a hada_w2_b"),
    _kind("LoKr", kronecker, "lokr_w1 | lokr_w1_a lokr_w1_b", "lokr_w2 | lokr_w2_a lokr_w2_b"),
    _kind("OFT", rotation, "oft_blocks | oft_R | oft_r"),
    _kind("difference", difference, "diff | diff_b"),
)
"""The supported kinds, each with the slots that a layer must have."""


@dataclass(frozen=True)
class FileLayer:
    """One layer that the file changes.

    Attributes:
        name: in the file's spelling.
        kind: of ``KINDS``.
        keys: of its tensors, by slot (see ``recognise.adapter_keys``).
        made: the shape of the weight that it is for.
        scale: what its matrix is multiplied by: alpha / rank.
        alpha: as the file gives it with the layer; None if it does not.
        settings: PEFT's settings for it.
    """

    name: str
    kind: str
    keys: Mapping[str, str]
    made: Made
    scale: float
    alpha: float | None
    settings: PartSettings

    @property
    def decomposed(self) -> bool:
        """Whether it has DoRA's magnitudes."""
        return not {"dora_scale", "magnitude"}.isdisjoint(self.keys)


@dataclass(frozen=True)
class LoraFile:
    """An adapter whose header has been read, but no tensors.

    Attributes:
        path: the file.
        weights: its tensors.
        layers: what it changes.
        rest: keys that belong to none of them.
        notes: what had to be assumed.
    """

    path: Path
    weights: WeightFiles
    layers: tuple[FileLayer, ...]
    rest: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def check_values(self) -> None:
        """Reads every tensor once.

        Raises:
            ModelError: one holds a value that is not finite, or cannot be read.
        """
        for layer in self.layers:
            self.read(layer)

    def read(self, layer: FileLayer) -> dict[str, Tensor]:
        """The tensors of a layer by slot, in float32.

        Raises:
            ModelError: one holds a value that is not finite, or cannot be read.
        """
        found = {}
        for slot, key in layer.keys.items():
            tensor = self.weights.read(key).float()
            if not bool(torch.isfinite(tensor).all()):
                raise damaged(self.path, f"{key} holds values that are not finite: NaN or infinity.")
            found[slot] = tensor
        return found


def read_lora(path: Path) -> LoraFile:
    """The adapter in a safetensors file, or in the folder that PEFT or diffusers saved one to.

    Raises:
        ModelError: there is none, it is a pickle, damaged, of a kind that does not run here, or its tensors do not fit
            one another.
    """
    file = _find(path)
    weights = read_headers(file)
    if weights.format != "safetensors":
        raise ModelError(f"{file} is a {weights.format.upper()} file.", remedy="Give a LoRA as a safetensors file.")
    _refuse_unsupported(file, weights)
    by_layer, rest = _sorted(weights)
    settings = read_settings(file, weights.metadata)
    layers = []
    for name, keys in by_layer.items():
        layer = _layer(file, weights, name, keys, settings)
        if layer is None:
            rest += keys.values()
        else:
            layers.append(layer)
    if not layers:
        raise _not_a_lora(file, weights)
    _check_magnitudes(file, layers)
    return LoraFile(file, weights, tuple(layers), tuple(rest), _notes(file, layers, settings))


def _find(path: Path) -> Path:
    if path.is_file():
        return path
    if not path.is_dir():
        raise ModelError(f"There is no LoRA {path}.", remedy="Give the path of a safetensors file.")
    named = [path / name for name in NAMES if (path / name).is_file()]
    found = named or sorted(path.glob("*.safetensors"))
    if len(found) != 1:
        held = f"several: {', '.join(file.name for file in found[:3])}" if found else "no safetensors file"
        raise ModelError(f"The folder {path} holds {held}.", remedy="Give the path of a LoRA's safetensors file.")
    return found[0]


def _refuse_unsupported(file: Path, weights: WeightFiles) -> None:
    """Refuses unsupported kinds, which would be applied wrongly or only in part if the file were read as a LoRA."""
    for key, header in weights.tensors.items():
        butterfly = key.endswith(".oft_blocks") and len(header.shape) == 4
        if (words := "BOFT, a butterfly of rotations" if butterfly else unsupported(key)) is not None:
            raise ModelError(
                f"{file} holds an adapter of a kind that is not supported.",
                why=f"It holds {words}: {key}.",
                remedy="Use a LoRA, DoRA, LoHa, LoKr or OFT adapter.",
            )


def _not_a_lora(file: Path, weights: WeightFiles) -> ModelError:
    kind = kind_of(weights)
    keys = list(weights.tensors)
    what = f"It is {kind.words}. " if kind else ""
    held = f"the keys {', '.join(keys[:3])}{', …' if len(keys) > 3 else ''}" if keys else "no tensor"
    return ModelError(
        f"{file} is not a LoRA.",
        why=f"{what}It holds {held}.",
        remedy="Give a LoRA's safetensors file.",
    )


def _sorted(weights: WeightFiles) -> tuple[dict[str, dict[str, str]], list[str]]:
    """The keys of each layer by slot, and all other keys."""
    layers: dict[str, dict[str, str]] = {}
    rest = []
    for key in weights.tensors:
        if (name := split_key(key)) is None:
            rest.append(key)
        else:
            layers.setdefault(name.layer, {})[name.slot] = key
    return layers, rest


def _layer(
    file: Path, weights: WeightFiles, name: str, keys: Mapping[str, str], settings: Settings | None
) -> FileLayer | None:
    """The layer that these keys make; None for keys that do not make an adapter, such as an alpha alone."""
    kinds = [kind for kind in KINDS if not kind.slots.isdisjoint(keys)]
    if len(kinds) == 2 and "diff" not in keys:  # a difference for the bias, next to factors for the weight
        kinds = [kind for kind in kinds if kind.name != "difference"]
    if not kinds:
        return None
    if len(kinds) > 1:
        raise damaged(file, f"{name} has the tensors of a {kinds[0].name} and of a {kinds[1].name}.")
    (kind,) = kinds
    _check_complete(file, kind, keys)
    shapes = {slot: weights.tensors[key].shape for slot, key in keys.items()}
    try:
        made = kind.made(shapes)
    except ShapeFault as fault:
        raise damaged(file, f"In the layer {name}, {fault}.") from fault
    found, own_name = settings_of(settings or {}, name)
    alpha = _alpha(file, weights, keys)
    if kind.name == "OFT":
        scale = 1.0  # what OFT calls alpha is a bound
    elif alpha is not None:
        scale = alpha / made.rank if made.rank else 1.0
    else:
        scale = 1.0 if settings is None else found.scale(own_name, made.rank)
    return FileLayer(name, kind.name, keys, made, scale, alpha, found)


def _check_complete(file: Path, kind: Kind, keys: Mapping[str, str]) -> None:
    for line in kind.complete:
        if not any(each <= keys.keys() for each in line):
            there = next(keys[slot] for slot in keys if slot in kind.slots)
            missing = " or ".join(" and ".join(sorted(each - keys.keys())) for each in line)
            raise damaged(file, f"{there} is there, but {missing} of the same layer is missing.")


def _alpha(file: Path, weights: WeightFiles, keys: Mapping[str, str]) -> float | None:
    if "alpha" not in keys:
        return None
    alpha = weights.read(keys["alpha"]).float()
    if alpha.numel() != 1 or not bool(torch.isfinite(alpha).all()):
        raise damaged(file, f"{keys['alpha']} must be one finite number and is {alpha.tolist()}.")
    return float(alpha)


def _check_magnitudes(file: Path, layers: Sequence[FileLayer]) -> None:
    """Refuses DoRA without magnitudes, which would be applied as a LoRA and give a different picture."""
    for layer in layers:
        if layer.settings.use_dora and not layer.decomposed and layer.kind == "LoRA":
            raise damaged(file, f"Its settings say that it is DoRA, but {layer.name} has no magnitudes.")


def _notes(file: Path, layers: Sequence[FileLayer], settings: Settings | None) -> tuple[str, ...]:
    if settings is not None or not any(layer.name.startswith(ROOT) for layer in layers):
        return ()
    if any("oft_R" in layer.keys for layer in layers):
        return (f"{file.name} has no adapter_config.json next to it: PEFT's default settings of OFT are assumed.",)
    return (
        f"{file.name} does not give its alpha, and has no adapter_config.json next to it: alpha = rank is assumed.",
    )


def damaged(file: Path, why: str) -> ModelError:
    """The error for a LoRA that cannot be used with any model."""
    return ModelError(f"The LoRA {file} is damaged.", why=why, remedy="Download it again, or use another one.")
