"""The file of a LoRA: the layers it changes, under the file's own names for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from latentry import ModelError
from latentry_diffusers.files.read import read_headers
from latentry_diffusers.files.weight_files import WeightFiles
from latentry_diffusers.lora._other import refuse_others
from latentry_diffusers.lora._settings import Settings, read_settings, scale
from latentry_diffusers.recognise.kinds import kind_of

FACTOR = re.compile(
    r"(?P<layer>.+?)\.(?:lora_(?:(?P<kohya>down|up)|(?P<peft>[AB])(?:\.default)?)"
    r"|(?:lora\.|lora_linear_layer\.|(?<=_lora\.))(?P<diffusers>down|up))\.weight"
)
"""kohya's, PEFT's and diffusers' names of the two factors of a layer's change."""
ALPHA = ".alpha"
NAMES = ("adapter_model.safetensors", "pytorch_lora_weights.safetensors")
"""What PEFT and diffusers call the file when they save a folder."""


@dataclass(frozen=True)
class Layer:
    """One changed layer: its weight W becomes W + weight · scale · up·down (Hu et al. 2021, arXiv:2106.09685, eq. 3).

    Attributes:
        name: in the file's own spelling.
        down: key of the factor (rank, inputs), of a convolution (rank, inputs, height, width).
        up: key of the factor (outputs, rank), of a convolution (outputs, rank, 1, 1).
        rank: of both.
        scale: alpha / rank.
    """

    name: str
    down: str
    up: str
    rank: int
    scale: float


@dataclass(frozen=True)
class LoraFile:
    """A LoRA whose headers were read.

    Attributes:
        path: the file.
        weights: its tensors.
        layers: what it changes.
        rest: keys that belong to none of them.
        notes: what had to be assumed.
    """

    path: Path
    weights: WeightFiles
    layers: tuple[Layer, ...]
    rest: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def check_values(self) -> None:
        """Reads every factor once.

        Raises:
            ModelError: one holds a value that is not finite.
        """
        for key in (key for layer in self.layers for key in (layer.down, layer.up)):
            if not bool(torch.isfinite(self.weights.read(key).float()).all()):
                raise damaged(self.path, f"{key} holds values that are not finite: NaN or infinity.")


def read_lora(path: Path) -> LoraFile:
    """The LoRA in a safetensors file, or in the folder that PEFT or diffusers saved one to.

    Raises:
        ModelError: there is none, it is a pickle, damaged, of another kind, or its factors do not fit one another.
    """
    file = _find(path)
    weights = read_headers(file)
    if weights.format != "safetensors":
        raise ModelError(f"{file} is a {weights.format.upper()} file.", remedy="Give a LoRA as a safetensors file.")
    refuse_others(file, weights.tensors)
    factors, rest = _sorted(weights)
    if not factors:
        raise _no_lora(file, weights)
    settings = read_settings(file, weights.metadata)
    layers = tuple(_layer(file, weights, name, keys, settings) for name, keys in factors.items())
    alphas = {layer.name + ALPHA for layer in layers}
    notes = []
    if settings is None and any(name.startswith("base_model.") for name in factors):
        notes.append(f"{file.name} does not say its alpha, and no adapter_config.json lies beside it: alpha = rank.")
    return LoraFile(file, weights, layers, tuple(key for key in rest if key not in alphas), tuple(notes))


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


def _no_lora(file: Path, weights: WeightFiles) -> ModelError:
    kind = kind_of(weights)
    keys = list(weights.tensors)
    what = f"It is {kind.words}. " if kind else ""
    held = f"the keys {', '.join(keys[:3])}{', …' if len(keys) > 3 else ''}" if keys else "no tensor"
    return ModelError(
        f"{file} holds no LoRA.",
        why=f"{what}It holds {held}.",
        remedy="Give a LoRA's safetensors file.",
    )


def _sorted(weights: WeightFiles) -> tuple[dict[str, dict[str, str]], list[str]]:
    """The keys of factors by layer, and all others."""
    factors: dict[str, dict[str, str]] = {}
    rest = []
    for key in weights.tensors:
        found = FACTOR.fullmatch(key)
        if found is None:
            rest.append(key)
            continue
        which = found["kohya"] or found["diffusers"] or {"A": "down", "B": "up"}[found["peft"]]
        factors.setdefault(found["layer"], {})[which] = key
    return factors, rest


def _layer(file: Path, weights: WeightFiles, name: str, keys: Mapping[str, str], settings: Settings | None) -> Layer:
    if len(keys) < 2:
        (which, key), other = next(iter(keys.items())), "up" if "down" in keys else "down"
        raise damaged(file, f"{key} has no counterpart: the {which} factor is there, and the {other} factor is not.")
    down, up = keys["down"], keys["up"]
    wide, tall = weights.tensors[down].shape, weights.tensors[up].shape
    if len(wide) not in (2, 4) or len(tall) not in (2, 4) or tall[2:] not in ((), (1, 1)):
        raise damaged(file, f"{down} has the shape {wide} and {up} {tall}: they are no factors of a matrix.")
    rank = wide[0]
    if rank == 0:
        raise damaged(file, f"{down} has the shape {wide}: its rank is 0, so that it changes nothing.")
    if tall[1] != rank:
        raise damaged(file, f"{down} has the rank {rank}, and {up} {tall[1]}.")
    return Layer(name, down, up, rank, _scale(file, weights, name, rank, settings))


def _scale(file: Path, weights: WeightFiles, name: str, rank: int, settings: Settings | None) -> float:
    key = name + ALPHA
    if key not in weights.tensors:
        return 1.0 if settings is None else scale(settings, name, rank)
    alpha = weights.read(key).float()
    if alpha.numel() != 1 or not bool(torch.isfinite(alpha).all()):
        raise damaged(file, f"{key} is to be one finite number, and is {alpha.tolist()}.")
    return float(alpha) / rank


def damaged(file: Path, why: str) -> ModelError:
    """A LoRA that cannot be used with any model."""
    return ModelError(f"The LoRA {file} cannot be used.", why=why, remedy="Get it anew, or take another.")
