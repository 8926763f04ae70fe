"""Checks by the header alone whether a file of published shape holds every tensor of its networks.

A layout's table and the published number of parameters stand in for the network, so nothing heavy is imported.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from latentry import Detection, ModelFiles
from latentry_diffusers.bundle.known_tensors import is_useless
from latentry_diffusers.bundle.networks import Config, PartSpec, Role, common_name
from latentry_diffusers.bundle.sources import Part, find_parts
from latentry_diffusers.files.headers import is_weights
from latentry_diffusers.files.read import shared_reader
from latentry_diffusers.files.weight_files import WeightFiles
from latentry_diffusers.recognise.recognise import UNPUBLISHED, UNSUPPORTED

FEW = 0.01
"""A share of all tensors that is smaller than any single block's."""
OPTIONS: Mapping[Role, str] = {"vae": "--vae FILE", "text-encoder": "--text-encoder FILE"}


def check_complete(
    found: Detection | None,
    files: ModelFiles,
    specs: Callable[[str], Sequence[PartSpec]],
    published: Callable[[str], Mapping[str, Config]],
    parameters: Mapping[str, int],
) -> Detection | None:
    """A detection that says what networks in the file are incomplete.

    An incomplete denoiser cannot be run; any other incomplete network counts as missing, and can be given separately.

    Args:
        found: what the header seems to be; returned as it is for folders, where configurations are given, and for
            what is not a model.
        files: the checkpoint.
        specs: the networks of a variant.
        published: their configurations by part.
        parameters: of the published denoisers, by variant, with their tables.

    Raises:
        ModelError: the file is damaged.
    """
    if found is None or not found.variants or not is_weights(files.path) or files.config:
        return found
    weights, variant = shared_reader(files)(files.path), found.variants[0]
    given = {role for role, _ in files.parts}
    configs = published(variant)
    if found.score <= UNPUBLISHED:
        denoiser = next(spec for spec in specs(variant) if spec.role is None)
        fault = _nearly_published(
            next(find_parts(denoiser, configs[denoiser.name], files.path, weights), None), weights
        )
        return _not_runnable(found, fault) if fault else found
    for spec in specs(variant):
        if spec.role in given:
            continue
        part = next(find_parts(spec, configs[spec.name], files.path, weights), None)
        fault = _fault(spec, part, weights, parameters[variant])
        if fault and spec.role is None:
            return _not_runnable(found, fault)
        if fault and spec.role is not None:
            found = replace(found, missing=(*found.missing, f"{fault}: give {OPTIONS[spec.role]}"))
    return found


def _not_runnable(found: Detection, fault: str) -> Detection:
    return replace(found, variants=(), possible=(), missing=(), score=UNSUPPORTED, evidence=(*found.evidence, fault))


def _nearly_published(part: Part | None, weights: WeightFiles) -> str | None:
    """What a denoiser lacks if its shape is unpublished only because a few tensors are missing.

    Networks that really have another shape lack whole blocks of the published one, or have additional blocks.
    """
    if part is None:
        return None
    expected = set(_expected(part).values())
    own = {name for name in weights.tensors if name.startswith(part.prefix) and not is_useless(name)}
    lacking = sorted(expected - own)
    few = 0 < len(lacking) < FEW * len(expected)
    return f"its {part.spec.name} lacks {_listed(lacking)}" if few and own <= expected else None


def _fault(spec: PartSpec, part: Part | None, weights: WeightFiles, parameters: int) -> str | None:
    """What is wrong with a part that the file seems to hold; None where nothing is wrong, or the part is absent."""
    if part is None:
        prefix = next((p for p in spec.prefixes if any(name.startswith(p) for name in weights.tensors)), None)
        return None if prefix is None else f"its {spec.name} lacks {prefix}{spec.network.witness}"
    expected = _expected(part)
    lacking = [key for name, key in expected.items() if key not in weights.tensors and name not in part.implied]
    if lacking:
        return f"its {spec.name} lacks {_listed(lacking)}"
    count = sum(math.prod(weights.tensors[key].shape) for key in set(expected.values()) if key in weights.tensors)
    if spec.role is None and count != parameters:
        return f"its {spec.name} has {count:,} parameters, and the published network has {parameters:,}"
    return None


def _expected(part: Part) -> Mapping[str, str]:
    """The keys that the file should hold, by the common names of the network's tensors."""
    if part.layout is not None:
        return {name: source.key for name, source in part.sources.items()}
    # under the network's own names, any layout's table lists them
    pairs = part.spec.network.layouts[0].pairs(part.config)
    names = [common_name(name) for pair in pairs for name in pair.diffusers]
    return {name: part.sources[name].key if name in part.sources else part.prefix + name for name in names}


def _listed(names: Sequence[str]) -> str:
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")
