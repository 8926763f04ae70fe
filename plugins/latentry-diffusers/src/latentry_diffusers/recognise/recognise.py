"""Makes a ``Detection`` from headers and configurations; shared by the detectors of all families.

A family says what it finds in a folder and in a file of weights. All else is the same for every family: files that are
not models, missing parts, dtypes and sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from latentry import Detection, ModelFiles
from latentry_diffusers.files.headers import denoiser_prefix, dtypes, is_weights, parameters
from latentry_diffusers.files.read import Read, shared_reader
from latentry_diffusers.files.scales import unreadable
from latentry_diffusers.files.tensor_header import TensorHeader
from latentry_diffusers.files.weight_files import WeightFiles
from latentry_diffusers.recognise.folders import kind_of_folder, lora_in
from latentry_diffusers.recognise.kinds import Kind, kind_of
from latentry_diffusers.recognise.metadata import ZERO_SNR_MARK, predicted, stated_name
from latentry_diffusers.recognise.missing import Need, missing_from_file, missing_from_folder

SURE, UNPUBLISHED, OTHER, INCOMPLETE, UNSUPPORTED = 0.95, 0.8, 0.7, 0.4, 0.3
"""How sure a family is, by what was found: a model; a model of unpublished shape; something that is not a model, made
for another family; a folder that lacks parts; a network that it knows but cannot run."""
NETWORKS = ("unet", "transformer", "vae", "text_encoder", "text_encoder_2", "text_encoder_3")
"""Folders of the parts that have weights."""


@dataclass(frozen=True)
class FileFinding:
    """What a family finds in a file of weights.

    Attributes:
        variants: those it can be; none where the network cannot be run, as ``evidence`` says.
        evidence: short sentences.
        needs: the text encoders that the variants have.
        prediction: as in ``Detection``.
        published: whether the shapes are those of a published variant.
        possible: as in ``Detection``.
    """

    variants: tuple[str, ...]
    evidence: tuple[str, ...]
    needs: tuple[Need, ...] = ()
    prediction: str | None = None
    published: bool = True
    possible: tuple[str, ...] = ()


@dataclass(frozen=True)
class Family:
    """How a family recognises its checkpoints.

    Attributes:
        name: as registered.
        in_folder: looks at a folder in the diffusers layout; missing parts are named by their folders. May raise
            ``ModelError`` for damaged weights.
        in_file: looks at the tensors of a file of weights.
    """

    name: str
    in_folder: Callable[[Path], Detection | None]
    in_file: Callable[[WeightFiles], FileFinding | None]


def recognise(files: ModelFiles, family: Family) -> Detection | None:
    """The family's answer to "is this yours?".

    Raises:
        ModelError: a file is damaged or unsafe.
    """
    return _file(files, family) if is_weights(files.path) else _folder(files, family)


def _folder(files: ModelFiles, family: Family) -> Detection | None:
    read = shared_reader(files)
    if (kind := kind_of_folder(files.path, read)) is not None:
        return _not_a_model(kind, family, _headers([lora_in(files.path) or files.path], read))
    found = family.in_folder(files.path)
    if found is None:
        return None
    missing = missing_from_folder(files, found.missing)
    score = min(found.score, INCOMPLETE if missing else SURE)
    return _measured(
        replace(found, score=score, missing=missing), _headers((files.path / part for part in NETWORKS), read)
    )


def _headers(places: Iterable[Path], read: Read) -> list[TensorHeader]:
    """The headers of all tensors in files and folders; a folder may hold no weights."""
    kept = [place for place in places if is_weights(place) or any(is_weights(file) for file in place.glob("*"))]
    return [header for place in kept for header in read(place).tensors.values()]


def _file(files: ModelFiles, family: Family) -> Detection | None:
    if not files.path.is_file():
        return None
    weights = shared_reader(files)(files.path)
    headers = list(weights.tensors.values())
    # with a hundred thousand names, for each family, this takes most of the time
    if (kind := files.once(("kind", files.path), lambda: kind_of(weights))) is not None:
        return _not_a_model(kind, family, headers)
    finding = family.in_file(weights)
    if finding is None:
        return None
    if (packed := unreadable(weights.tensors, (denoiser_prefix(weights.tensors),))) is not None:
        why = f"its weights are packed in a way that is not supported, as {packed} shows: use float16, bfloat16 or GGUF"
        return _measured(Detection((), UNSUPPORTED, (*finding.evidence, why)), headers)
    evidence = (*finding.evidence, *_statements(weights))
    if not finding.variants:
        return _measured(Detection((), UNSUPPORTED, evidence), headers)
    found = Detection(
        finding.variants,
        SURE if finding.published else UNPUBLISHED,
        evidence,
        missing_from_file(files, weights.tensors, finding.needs),
        prediction=finding.prediction,
        possible=finding.possible,
    )
    return _measured(
        _check_prediction(_configured(found, files, family, published=finding.published), weights), headers
    )


def _check_prediction(found: Detection, weights: WeightFiles) -> Detection:
    """Refuses configurations that contradict the file's own statement of what it predicts."""
    stated = predicted(weights)
    if not found.variants or stated is None or found.prediction in (None, stated[0]):
        return found
    why = f"the configurations given say that it predicts {found.prediction}, and {stated[1]}"
    return replace(found, variants=(), possible=(), score=UNSUPPORTED, evidence=(*found.evidence, why))


def _configured(found: Detection, files: ModelFiles, family: Family, *, published: bool) -> Detection:
    """Completes a detection from the folder given for configurations."""
    if files.config is None and published:
        return found
    if files.config is None:
        why = "no published network has its shapes, so its configurations must be given"
        return replace(
            found, evidence=(*found.evidence, why), missing=(*found.missing, "the configurations: give --config FOLDER")
        )
    described = family.in_folder(files.config)
    if described is None or not described.variants:
        why = f"the configurations in {files.config} are those of another family"
        return replace(found, variants=(), possible=(), score=UNSUPPORTED, evidence=(*found.evidence, why))
    return replace(
        found,
        variants=described.variants,
        evidence=(*found.evidence, f"the configurations in {files.config} say which variant it is"),
        prediction=described.prediction,
        possible=described.possible,
    )


def _not_a_model(kind: Kind, family: Family, headers: list[TensorHeader]) -> Detection:
    score = SURE if kind.family == family.name else OTHER
    return _measured(Detection((), score, (kind.evidence,), kind=kind.kind, label=kind.words), headers)


def _measured(found: Detection, headers: list[TensorHeader]) -> Detection:
    if not headers:
        return found
    size = sum(header.size for header in headers)
    return replace(found, dtypes=dtypes(headers), size=size, parameters=parameters(headers))


def _statements(weights: WeightFiles) -> Iterator[str]:
    if name := stated_name(weights):
        yield f"it calls itself {name}"
    if ZERO_SNR_MARK in weights.tensors:
        yield f"it holds the mark {ZERO_SNR_MARK}: its noisiest level has no signal"
    if weights.scales:
        yield "its float8 weights have scales, which are applied when it is loaded"
