"""Parts that are given on their own, matched with those that the model has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from latentry import ModelError, ModelFiles
from latentry_diffusers.bundle.networks import Config, PartSpec, Role
from latentry_diffusers.bundle.sources import Part, find_tensors
from latentry_diffusers.files.configs import read_config
from latentry_diffusers.files.read import read_headers

WORDS: Mapping[Role, str] = {"vae": "autoencoder", "text-encoder": "text encoder"}


def match_given(files: ModelFiles, specs: Sequence[PartSpec], configs: Mapping[str, Config]) -> dict[str, Part]:
    """The parts given on their own, by name; text encoders are told apart by their layouts and shapes.

    Raises:
        ModelError: one is damaged, or is none of those that the model has.
    """
    parts: dict[str, Part] = {}
    for role, path in files.parts:
        if role == "tokenizer":
            continue
        open_ones = [spec for spec in specs if spec.role == role and spec.name not in parts]
        part = next((part for spec in open_ones if (part := _fitting(path, spec, configs[spec.name]))), None)
        if part is None:
            raise _none(path, role, open_ones, configs)
        parts[part.spec.name] = part
    return parts


def _fitting(path: Path, spec: PartSpec, config: Config) -> Part | None:
    """The part in a file, in its own folder, or in a whole checkpoint's."""
    folder = path / spec.name if (path / spec.name).is_dir() else path
    if (folder / "model_index.json").is_file():
        return None  # a checkpoint without this part
    weights = read_headers(folder)
    tensors = find_tensors(spec, config, weights, exact=True)
    if tensors is None:
        return None
    own = folder / "config.json"
    return Part(spec, read_config(own, spec.kinds) if own.is_file() else config, folder, weights, tensors)


def _none(path: Path, role: Role, specs: Sequence[PartSpec], configs: Mapping[str, Config]) -> ModelError:
    shapes = (f"{spec.name} {spec.network.shape(configs[spec.name])}" for spec in specs)
    wanted = f"Looked for, by the shape of one tensor: {', '.join(shapes)}." if specs else "It has all it can have."
    return ModelError(
        f"{path} is no {WORDS[role]} of this model.",
        why=wanted,
        remedy="Give a file that belongs to the model; for one of unpublished shape give --config FOLDER too.",
    )
