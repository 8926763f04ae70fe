"""What the detectors of the families have in common: from files to a ``Detection``, from headers and configurations.

A family says what it sees in a folder and in a file of weights; what is no model, what is missing, dtypes and sizes
are the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from latentry import Detection, ModelFiles
from latentry_diffusers.files.configs import read_json
from latentry_diffusers.files.headers import dtypes, is_weights, parameters
from latentry_diffusers.files.read import read_headers
from latentry_diffusers.files.weight_files import TensorHeader, WeightFiles
from latentry_diffusers.recognise.folders import kind_of_folder, lora_in
from latentry_diffusers.recognise.kinds import Kind, kind_of
from latentry_diffusers.recognise.metadata import ZERO_SNR_MARK, predicted, said_in
from latentry_diffusers.recognise.missing import Need, missing_from_file, missing_from_folder

SURE, UNPUBLISHED, OTHER, INCOMPLETE, UNSUPPORTED = 0.95, 0.8, 0.7, 0.4, 0.3
"""How sure a family is: of a model; of one of a shape of its own; of what is no model, and not the family's own;
of a folder that lacks parts; of a network that it knows and cannot run."""
NETWORKS = ("unet", "transformer", "vae", "text_encoder", "text_encoder_2", "text_encoder_3")
"""Folders of the parts that have weights."""


@dataclass(frozen=True)
class Sighting:
    """What a family sees in a file of weights.

    Attributes:
        variants: those it can be; none where the network cannot be run, as ``evidence`` says.
        evidence: short sentences.
        needs: the text encoders that the variants have.
        prediction: as in ``Detection``.
        published: whether the shapes are those of a variant.
    """

    variants: tuple[str, ...]
    evidence: tuple[str, ...]
    needs: tuple[Need, ...] = ()
    prediction: str | None = None
    published: bool = True


@dataclass(frozen=True)
class Family:
    """How a family recognises its checkpoints.

    Attributes:
        name: as registered.
        in_folder: a diffusers folder; missing parts as names of folders. Damaged weights may raise ``ModelError``.
        in_file: the tensors of a file of weights.
    """

    name: str
    in_folder: Callable[[Path], Detection | None]
    in_file: Callable[[WeightFiles], Sighting | None]


class Pipeline(NamedTuple):
    """What a diffusers folder says of itself.

    Attributes:
        name: class of its pipeline.
        listed: ``model_index.json``.
        denoiser: ``config.json`` of its UNet or transformer.
    """

    name: str
    listed: Mapping[str, Any]
    denoiser: Mapping[str, Any]


def read_pipeline(path: Path, denoiser: str, *, begins: str) -> Pipeline | None:
    """A diffusers folder whose pipeline's name begins so; None where it is none.

    Args:
        path: the folder.
        denoiser: name of the folder in it that has the denoiser.
        begins: of the pipeline's name.
    """
    index, config = read_json(path / "model_index.json"), read_json(path / denoiser / "config.json")
    if index is None or config is None:
        return None
    name = str(index.get("_class_name", ""))
    return Pipeline(name, index, config) if name.startswith(begins) else None


def recognise(files: ModelFiles, family: Family) -> Detection | None:
    """The family's answer to "is this yours?".

    Raises:
        ModelError: a file is damaged or unsafe.
    """
    return _file(files, family) if is_weights(files.path) else _folder(files, family)


def _folder(files: ModelFiles, family: Family) -> Detection | None:
    if (kind := kind_of_folder(files.path)) is not None:
        return _other(kind, family, _weights([lora_in(files.path) or files.path]))
    found = family.in_folder(files.path)
    if found is None:
        return None
    missing = missing_from_folder(files, found.missing)
    score = min(found.score, INCOMPLETE if missing else SURE)
    return _measured(replace(found, score=score, missing=missing), _weights(files.path / part for part in NETWORKS))


def _weights(places: Iterable[Path]) -> list[TensorHeader]:
    """Of all tensors in files and in folders, some of which may hold none."""
    kept = [place for place in places if is_weights(place) or any(is_weights(file) for file in place.glob("*"))]
    return [header for place in kept for header in read_headers(place).tensors.values()]


def _file(files: ModelFiles, family: Family) -> Detection | None:
    if not files.path.is_file():
        return None
    weights = read_headers(files.path)
    headers = list(weights.tensors.values())
    if (kind := kind_of(weights)) is not None:
        return _other(kind, family, headers)
    sighting = family.in_file(weights)
    if sighting is None:
        return None
    if (packed := next(filter(_is_packed, weights.tensors), None)) is not None:
        why = f"its weights are packed by a library, as {packed} shows: get them in float16, bfloat16 or as GGUF"
        return _measured(Detection((), UNSUPPORTED, (*sighting.evidence, why)), headers)
    evidence = (*sighting.evidence, *_told(weights))
    if not sighting.variants:
        return _measured(Detection((), UNSUPPORTED, evidence), headers)
    found = Detection(
        sighting.variants,
        SURE if sighting.published else UNPUBLISHED,
        evidence,
        missing_from_file(files, weights.tensors, sighting.needs),
        prediction=sighting.prediction,
    )
    return _measured(_agreed(_configured(found, files, family, published=sighting.published), weights), headers)


def _agreed(found: Detection, weights: WeightFiles) -> Detection:
    """Unless the file itself says that it predicts something else than the configurations."""
    told = predicted(weights)
    if not found.variants or told is None or found.prediction in (None, told[0]):
        return found
    why = f"the configurations given say that it predicts {found.prediction}, and {told[1]}"
    return replace(found, variants=(), score=UNSUPPORTED, evidence=(*found.evidence, why))


def _configured(found: Detection, files: ModelFiles, family: Family, *, published: bool) -> Detection:
    """With what the folder given for the configurations says."""
    if files.config is None and published:
        return found
    if files.config is None:
        why = "its shapes are those of no published network, so its configurations must be given"
        return replace(
            found, evidence=(*found.evidence, why), missing=(*found.missing, "the configurations: give --config FOLDER")
        )
    described = family.in_folder(files.config)
    if described is None or not described.variants:
        why = f"the configurations in {files.config} are those of another family"
        return replace(found, variants=(), score=UNSUPPORTED, evidence=(*found.evidence, why))
    return replace(
        found,
        variants=described.variants,
        evidence=(*found.evidence, f"the configurations in {files.config} say which variant it is"),
        prediction=described.prediction,
    )


def _other(kind: Kind, family: Family, headers: list[TensorHeader]) -> Detection:
    score = SURE if kind.family == family.name else OTHER
    return _measured(Detection((), score, (kind.evidence,), kind=kind.words), headers)


def _measured(found: Detection, headers: list[TensorHeader]) -> Detection:
    if not headers:
        return found
    size = sum(header.size for header in headers)
    return replace(found, dtypes=dtypes(headers), size=size, parameters=parameters(headers))


def _told(weights: WeightFiles) -> Iterable[str]:
    if said := said_in(weights):
        yield f"it calls itself {said}"
    if ZERO_SNR_MARK in weights.tensors:
        yield f"it holds the mark {ZERO_SNR_MARK}: its noisiest level has no signal"


def _is_packed(name: str) -> bool:
    return ".quant_state." in name or name.endswith((".absmax", ".qweight"))
