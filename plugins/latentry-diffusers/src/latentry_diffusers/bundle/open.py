"""Opens a checkpoint as parts, in any file format; reads configurations and headers, but no tensors."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from latentry import ModelError, ModelFiles
from latentry_diffusers.bundle.description import Description, describe
from latentry_diffusers.bundle.known_tensors import check_readable
from latentry_diffusers.bundle.networks import Config, PartSpec, Role
from latentry_diffusers.bundle.sources import Part, find_parts
from latentry_diffusers.bundle.tokenizers import Tokenizer, check_used, find_tokenizer
from latentry_diffusers.files.configs import read_config
from latentry_diffusers.files.read import Read, read_folders, shared_reader
from latentry_diffusers.files.weight_files import WeightFiles
from latentry_diffusers.recognise.metadata import (
    ZERO_SNR,
    ZERO_SNR_MARK,
    noise_marks,
    stated_sample_size,
    stated_scheduler,
)

log = logging.getLogger("latentry.models")

OPTIONS: Mapping[Role, str] = {"vae": "--vae FILE", "text-encoder": "--text-encoder FILE"}
"""The command-line option for each role."""
WORDS: Mapping[Role, str] = {"vae": "an autoencoder", "text-encoder": "a text encoder"}


@dataclass(frozen=True)
class Bundle:
    """The parts of a checkpoint.

    Attributes:
        files: the files of the checkpoint.
        parts: the networks by name, in the order of their use.
        scheduler: its configuration, with the keys of diffusers' ``scheduler_config.json``.
        index: ``model_index.json``; for a single file, the one in its configuration folder; empty where there is none.
        tokenizers: by the name of the text encoder.
        replaced: prefixes of the tensors in ``files`` that separately given parts replace.
        weights: what the weights of blocks are kept in, as in ``latentry.models.StoresWeights``.
    """

    files: ModelFiles
    parts: Mapping[str, Part]
    scheduler: Config
    index: Config
    tokenizers: Mapping[str, Tokenizer]
    replaced: tuple[str, ...]
    weights: str = "plain"

    def config(self, part: str) -> Config:
        """A network's configuration."""
        return self.parts[part].config


def open_bundle(files: ModelFiles, specs: Sequence[PartSpec], published: Mapping[str, Config]) -> Bundle:
    """Finds the parts of a checkpoint.

    Args:
        files: the checkpoint.
        specs: the networks of the variant, in the order of their use.
        published: configurations by part, and of the ``scheduler``, for files that hold none.

    Raises:
        ModelError: a part, a configuration or a vocabulary is missing or damaged.
    """
    described, read = describe(files, specs, published), shared_reader(files)
    given = _given_parts(files, described, read)
    rest = [spec for spec in described.specs if spec.name not in given]
    scheduler = described.scheduler
    if files.path.is_dir():
        own = _parts_in_folder(files, [spec for spec in rest if spec.name in described.listed], described)
    else:
        weights = read(files.path)
        configs = described.configs if files.config else _with_sample_size(described, weights)
        own = _parts_in_file(files.path, weights, rest, configs)
        if files.config is None:
            _check_published(own)
        scheduler = _with_marks(scheduler, weights, configured=files.config is not None)
    found = {**own, **given}
    parts = {spec.name: found[spec.name] for spec in described.specs if spec.name in found}
    check_readable(parts)
    tokenizers = {
        name: find_tokenizer(part.spec.tokenizer, files) for name, part in parts.items() if part.spec.tokenizer
    }
    check_used(files, tokenizers.values())
    replaced = tuple(prefix for part in given.values() for prefix in part.spec.prefixes)
    return Bundle(files, parts, scheduler, described.index, tokenizers, replaced)


def _with_marks(scheduler: Config, weights: WeightFiles, *, configured: bool) -> Config:
    """The scheduler's configuration with what the file itself says of its noise process.

    Where the configuration was given, it says what the network predicts (detection refuses a contradiction), but it may
    be shared by a whole architecture, whereas zero terminal SNR is a property of these weights.
    """
    marks = noise_marks(weights)
    if not configured:
        return {**scheduler, **stated_scheduler(weights), **marks}
    if not marks.get(ZERO_SNR) or scheduler.get(ZERO_SNR):
        return scheduler
    log.warning(
        "%s holds the mark %s: zero terminal SNR is used, which the configuration does not ask for",
        weights.files[0].name,
        ZERO_SNR_MARK,
    )
    return {**scheduler, ZERO_SNR: True}


def _with_sample_size(described: Description, weights: WeightFiles) -> Mapping[str, Config]:
    """The published configurations, with the size of pictures that the file says."""
    size, denoisers = stated_sample_size(weights), [spec.name for spec in described.specs if spec.role is None]
    configs = dict(described.configs)
    for name in denoisers:
        if size is not None and "sample_size" in configs[name]:
            configs[name] = {**configs[name], "sample_size": size}
    return configs


def _given_parts(files: ModelFiles, described: Description, read: Read) -> dict[str, Part]:
    """The separately given parts, by name. Text encoders are told apart by their layouts and shapes, in any order.

    Raises:
        ModelError: a file is damaged, or is not one of those that the model has.
    """
    parts: dict[str, Part] = {}
    for role, path in files.parts:
        if role == "tokenizer":
            continue
        candidates = [spec for spec in described.specs if spec.role == role and spec.name not in parts]
        part = _given_part(path, candidates, described.configs, read)
        if part is None:
            raise _not_a_part(path, role, candidates, described.configs)
        parts[part.spec.name] = part
    return parts


def _given_part(path: Path, candidates: Sequence[PartSpec], configs: Mapping[str, Config], read: Read) -> Part | None:
    """The part in a file, in its own folder, or in a whole checkpoint's folder; None where that holds another part."""
    for spec in candidates:
        folder = path / spec.name if (path / spec.name).is_dir() else path
        if (folder / "model_index.json").is_file():
            continue  # a whole checkpoint that lacks this part
        found = find_parts(spec, configs[spec.name], folder, read(folder))
        if (part := next((part for part in found if part.check_witness() is None), None)) is not None:
            own = folder / "config.json"
            return replace(part, config=read_config(own, spec.kinds, spec.within)) if own.is_file() else part
    return None


def _not_a_part(path: Path, role: Role, candidates: Sequence[PartSpec], configs: Mapping[str, Config]) -> ModelError:
    shapes = (f"{spec.name} {spec.network.shape(configs[spec.name])}" for spec in candidates)
    return ModelError(
        f"{path} is not {WORDS[role]} of this model.",
        why=f"Looked for, by the shape of one tensor: {', '.join(shapes)}."
        if candidates
        else "The model has no further part of this kind.",
        remedy="Give a file that belongs to the model; for one of unpublished shape also give --config FOLDER.",
    )


def _parts_in_folder(files: ModelFiles, specs: Sequence[PartSpec], described: Description) -> dict[str, Part]:
    folders = {spec.name: files.path / spec.name for spec in specs}
    weights = read_folders(files, folders.values())
    # without its witness, the loader says what is missing, as for any other tensor
    bare = [Part(spec, described.configs[spec.name], folders[spec.name], weights[folders[spec.name]]) for spec in specs]
    return {part.spec.name: next(find_parts(part.spec, part.config, part.origin, part.weights), part) for part in bare}


def _parts_in_file(
    path: Path, weights: WeightFiles, specs: Sequence[PartSpec], configs: Mapping[str, Config]
) -> dict[str, Part]:
    found = {spec.name: next(find_parts(spec, configs[spec.name], path, weights), None) for spec in specs}
    parts = {name: part for name, part in found.items() if part is not None}
    lacking = [spec for spec in specs if spec.name not in parts and not spec.optional]
    if not lacking:
        return parts
    options = " and ".join(dict.fromkeys(OPTIONS[spec.role] for spec in lacking if spec.role is not None))
    raise ModelError(
        f"{path} does not hold {', '.join(spec.name for spec in lacking)}.",
        why="None of its tensors has a name that belongs to one of them." if len(lacking) == len(specs) else "",
        remedy=f"Give {options}, once for each." if options else "Download the checkpoint again, or give another file.",
    )


def _check_published(parts: Mapping[str, Part]) -> None:
    """Refuses networks of unpublished shape before they are built; checks one tensor of each network."""
    for part in parts.values():
        if (why := part.check_witness()) is not None:
            raise ModelError(
                f"The {part.spec.name} in {part.origin} does not have the shape of a published network.",
                why=why,
                remedy="Give --config FOLDER, a diffusers folder with its configurations, or another --variant.",
            )
