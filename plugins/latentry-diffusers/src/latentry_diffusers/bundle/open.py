"""A checkpoint as parts, whatever files it comes in: configurations and headers are read, tensors are not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from latentry import ModelError, ModelFiles
from latentry_diffusers.bundle.known_tensors import check_plain
from latentry_diffusers.bundle.networks import Config, PartSpec
from latentry_diffusers.bundle.parts_given import match_given
from latentry_diffusers.bundle.sources import Part, find_tensors, own_tensors
from latentry_diffusers.bundle.tokenizers import Tokenizer, find_tokenizer
from latentry_diffusers.files.configs import read_config, read_json
from latentry_diffusers.files.read import read_headers
from latentry_diffusers.files.weight_files import WeightFiles
from latentry_diffusers.recognise.metadata import ZERO_SNR_MARK, predicted

OPTIONS = {"vae": "--vae FILE", "text-encoder": "--text-encoder FILE"}
"""How a part of each role is given on its own."""


@dataclass(frozen=True)
class Bundle:
    """The parts of a checkpoint.

    Attributes:
        files: where it lies.
        parts: the networks by name, in the order of their use.
        scheduler: in the keys of diffusers' ``scheduler_config.json``.
        index: ``model_index.json``, of a file that of its configuration folder; empty where there is none.
        tokenizers: by the name of the text encoder.
        replaced: what the names of tensors begin with whose parts were given apart.
    """

    files: ModelFiles
    parts: Mapping[str, Part]
    scheduler: Config
    index: Config
    tokenizers: Mapping[str, Tokenizer]
    replaced: tuple[str, ...]

    def config(self, part: str) -> Config:
        """A network's configuration."""
        return self.parts[part].config


def open_bundle(files: ModelFiles, specs: Sequence[PartSpec], published: Mapping[str, Config]) -> Bundle:
    """Finds the parts.

    Args:
        files: the checkpoint.
        specs: the networks of the variant, in the order of their use.
        published: configurations by part, and of the ``scheduler``, for files that bring none along.

    Raises:
        ModelError: a part, a configuration or a vocabulary is missing or damaged.
    """
    specs = [spec for spec in specs if spec.name not in files.without]
    described = files.path if files.path.is_dir() else files.config
    index = (read_json(described / "model_index.json") or {}) if described else {}
    configs = {spec.name: _config(files, spec, published, index) for spec in specs}
    scheduler = _scheduler(files, published["scheduler"])
    parts = match_given(files, specs, configs)
    given = tuple(prefix for spec in specs if spec.name in parts for prefix in spec.prefixes)
    rest = [spec for spec in specs if spec.name not in parts]
    if files.path.is_dir():
        named = [spec for spec in rest if not spec.optional or _names(index, spec.name)]
        parts |= {spec.name: _in_folder(files.path / spec.name, spec, configs[spec.name]) for spec in named}
    else:
        weights = read_headers(files.path)
        parts |= _in_file(files.path, weights, rest, configs)
        if files.config is None:
            _check_published(files.path, parts.values())
        scheduler = scheduler if files.config else {**scheduler, **_told(weights)}
    for part in parts.values():
        check_plain(part.origin, part.weights.tensors)
    found = {spec.name: spec for spec in specs if spec.name in parts}
    tokenizers = {name: find_tokenizer(spec.tokenizer, files) for name, spec in found.items() if spec.tokenizer}
    return Bundle(files, {name: parts[name] for name in found}, scheduler, index, tokenizers, given)


def _config(files: ModelFiles, spec: PartSpec, published: Mapping[str, Config], index: Config) -> Config:
    """From the folder given for it, else the checkpoint's own, else as published."""
    if files.config is not None and (asked := files.config / spec.name / "config.json").is_file():
        return read_config(asked, spec.kinds)
    own = files.path / spec.name / "config.json"
    apart = any(role == spec.role for role, _ in files.parts) and not own.is_file()
    if files.path.is_dir() and not apart and (not spec.optional or _names(index, spec.name)):
        return read_config(own, spec.kinds)
    return published[spec.name]


def _scheduler(files: ModelFiles, published: Config) -> Config:
    for folder in (files.config, files.path):
        if folder is not None and folder.is_dir():
            return read_config(folder / "scheduler" / "scheduler_config.json")
    return published


def _names(index: Config, part: str) -> bool:
    """Whether ``model_index.json`` names the part."""
    entry = index.get(part)
    return isinstance(entry, list) and entry[:1] != [None]


def _in_folder(folder: Path, spec: PartSpec, config: Config) -> Part:
    weights = read_headers(folder)
    tensors = find_tensors(spec, config, weights, exact=False) or own_tensors(weights)
    return Part(spec, config, folder, weights, tensors)


def _in_file(
    path: Path, weights: WeightFiles, specs: Sequence[PartSpec], configs: Mapping[str, Config]
) -> dict[str, Part]:
    found = {spec.name: find_tensors(spec, configs[spec.name], weights, exact=False) for spec in specs}
    lacking = [spec for spec in specs if found[spec.name] is None and not spec.optional]
    if lacking:
        names = ", ".join(spec.name for spec in lacking)
        options = " and ".join(dict.fromkeys(OPTIONS[spec.role] for spec in lacking if spec.role in OPTIONS))
        raise ModelError(
            f"{path} holds no {names}.",
            why="None of its tensors has a name by which one is known." if len(lacking) == len(specs) else "",
            remedy=f"Give {options}, once for each." if options else "Get the checkpoint anew, or give another file.",
        )
    return {
        spec.name: Part(spec, configs[spec.name], path, weights, tensors)
        for spec in specs
        if (tensors := found[spec.name]) is not None
    }


def _check_published(path: Path, parts: Iterable[Part]) -> None:
    """Refuses networks of unpublished shape, before they are built, by one tensor of each."""
    for part in parts:
        network = part.spec.network
        found, wanted = part.tensors.sources[network.witness].shape(network.witness), network.shape(part.config)
        if part.origin == path and found != wanted:
            raise ModelError(
                f"The {part.spec.name} in {path} has the shape of no published network.",
                why=f"{part.tensors.sources[network.witness].key} makes {found}, and the published one has {wanted}.",
                remedy="Give --config FOLDER, a diffusers folder with its configurations, or another --variant.",
            )


def _told(weights: WeightFiles) -> Config:
    """What a single file says of its noise process."""
    prediction, told = predicted(weights), dict[str, object]()
    if prediction is not None:
        told["prediction_type"] = prediction[0]
    if ZERO_SNR_MARK in weights.tensors:
        told["rescale_betas_zero_snr"] = True
    return told
