"""What a checkpoint should hold, before its weights are looked at: networks, their configurations, the scheduler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from latentry import ModelFiles
from latentry_diffusers.bundle.networks import Config, PartSpec
from latentry_diffusers.files.configs import read_configs, read_json


@dataclass(frozen=True)
class Description:
    """What a checkpoint should hold.

    Attributes:
        specs: its networks in the order of their use.
        configs: their configurations by part.
        scheduler: in the keys of diffusers' ``scheduler_config.json``.
        index: ``model_index.json`` of the checkpoint or of the folder given for its configurations; may be empty.
        listed: the parts that a folder with this index should hold.
    """

    specs: tuple[PartSpec, ...]
    configs: Mapping[str, Config]
    scheduler: Config
    index: Config
    listed: frozenset[str]


def describe(files: ModelFiles, specs: Sequence[PartSpec], published: Mapping[str, Config]) -> Description:
    """Reads every configuration of a checkpoint, each once.

    Args:
        files: the checkpoint.
        specs: the networks of the variant, in the order of their use.
        published: configurations by part, and of the ``scheduler``, for files that hold none.

    Raises:
        ModelError: a configuration is missing, cannot be read, or lacks a key.
    """
    specs = tuple(spec for spec in specs if spec.name not in files.without)
    own = files.path if files.path.is_dir() else None
    described = own or files.config
    index = (read_json(described / "model_index.json") or {}) if described else {}
    listed = frozenset(spec.name for spec in specs if not spec.optional or _is_named(index.get(spec.name)))
    given = {role for role, _ in files.parts}
    places = {
        spec.name: (file, spec.kinds, spec.within)
        for spec in specs
        if (file := _config_file(spec, files.config, own if spec.name in listed else None, apart=spec.role in given))
    }
    if described is not None:
        places["scheduler"] = (files.config or described) / "scheduler" / "scheduler_config.json", {}, ""
    configs = {**published, **read_configs(places)}
    return Description(specs, {spec.name: configs[spec.name] for spec in specs}, configs["scheduler"], index, listed)


def _config_file(spec: PartSpec, asked: Path | None, own: Path | None, *, apart: bool) -> Path | None:
    """Looks in the folder given for configurations, then in the checkpoint's; None leaves the published configuration.

    A checkpoint's own folder must have it, unless the part is given separately.
    """
    if asked is not None and (file := asked / spec.name / "config.json").is_file():
        return file
    if own is not None and ((file := own / spec.name / "config.json").is_file() or not apart):
        return file
    return None


def _is_named(entry: object) -> bool:
    """Whether an entry of ``model_index.json`` names a class; ``[null, null]`` says that the part is left out."""
    return isinstance(entry, list) and entry[:1] != [None]
