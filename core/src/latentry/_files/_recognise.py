"""The family and the variant of some files, as the installed families see them from headers and configurations."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from latentry._discovery import PluginHost
from latentry._errors import ModelError
from latentry._files._finding._repository import PIPELINE
from latentry._specs import Detection, FileKind, ModelFamilySpec, ModelFiles, VariantSpec

SURE = 0.5
"""The lowest score of a detection that counts."""

REMEDIES: Mapping[FileKind, str] = MappingProxyType(
    {
        FileKind.LORA: "Use it as a LoRA of the model that it was trained for.",
        FileKind.EMBEDDING: "Use it as an embedding, by a word of the prompt.",
        FileKind.AUTOENCODER: "Use it as the autoencoder (vae) of a model.",
        FileKind.TEXT_ENCODER: "Use it as a text encoder of a model.",
        FileKind.OTHER: "Give a model: a folder, a file or an installed name.",
    }
)
"""What to do with files that are not a model."""


@dataclass(frozen=True)
class Claim:
    """A family's detection of some files; ``family`` is ``distribution:name``."""

    family: str
    detection: Detection


def claims(host: PluginHost, files: ModelFiles) -> tuple[Claim, ...]:
    """The detections of the installed families, the surest first."""
    found = []
    for name in host.families:
        detect: Callable[[ModelFiles], Detection | None] = host.families.load(name, "detector")
        with host.families.calling(name):
            detection = detect(files)
        if detection is not None:
            found.append(Claim(host.families.qualified(name), detection))
    return tuple(sorted(found, key=lambda claim: -claim.detection.score))


def recognise(host: PluginHost, files: ModelFiles, asked: str | None) -> tuple[str, VariantSpec]:
    """The family of a model's files, and their variant.

    Args:
        host: whose families are asked.
        files: the model's.
        asked: the variant that the request names; None for what the files say.

    Raises:
        ModelError: they are not a model, no family knows them, or the variant does not fit or is not certain.
    """
    found = claims(host, files)
    sure = [claim for claim in found if claim.detection.score >= SURE and _is_something(claim.detection)]
    if not sure:
        raise ModelError(
            f"{files.path} is not a model that an installed family recognises.",
            why=_why_not(host, files.path, found),
            remedy="Give a folder in the diffusers layout (with model_index.json), or install the family."
            if files.path.is_dir()
            else f"Give the weights of a model{_without_config(files)}, or install its family.",
        )
    best = [claim for claim in sure if claim.detection.score == sure[0].detection.score]
    if (detection := best[0].detection).kind is not FileKind.MODEL:
        raise ModelError(
            f"{files.path} is {detection.label}, not a model.",
            why=_sentence(detection),
            remedy=REMEDIES[detection.kind],
            field="model",
        )
    fitting = [claim for claim in best if asked in (claim.detection.possible or claim.detection.variants)]
    claim = (fitting or best)[0]
    return claim.family, _variant(files.path, host.families[claim.family], claim.detection, asked)


def _without_config(files: ModelFiles) -> str:
    return "" if files.config is None else " and the configuration folder that belongs to it"


def _is_something(detection: Detection) -> bool:
    """A model without a variant is one that its family knows but cannot run."""
    return bool(detection.variants) or detection.kind is not FileKind.MODEL


def _variant(path: Path, family: ModelFamilySpec, detection: Detection, asked: str | None) -> VariantSpec:
    possible = detection.variants
    if asked is not None:
        chosen = named_variant(family, asked)
        if asked not in (detection.possible or possible):  # what is asked for counts unless the shapes contradict it
            raise ModelError(
                f"{path} is not of the variant {asked}: it is {' or '.join(possible)}.",
                why=_sentence(detection),
                remedy="Leave the variant out, or give the model that was meant.",
                field="variant",
            )
        return chosen
    if len(possible) > 1:
        raise ModelError(
            f"{path} can be any of {', '.join(possible)}: its files do not say which.",
            why=_sentence(detection),
            remedy=f"Give the variant: {' or '.join(possible)}.",
            field="variant",
        )
    return named_variant(family, possible[0])


def named_variant(family: ModelFamilySpec, name: str) -> VariantSpec:
    """A family's variant by name.

    Raises:
        ModelError: it has no variant of that name.
    """
    known = {variant.name: variant for variant in family.variants}
    if name not in known:
        raise ModelError(
            f"The family {family.name!r} has no variant {name!r}.",
            remedy=f"It has {', '.join(known)}.",
            field="variant",
        )
    return known[name]


def _sentence(detection: Detection) -> str:
    """The evidence in one sentence."""
    return f"Seen: {'; '.join(detection.evidence)}." if detection.evidence else ""


def _why_not(host: PluginHost, path: Path, found: tuple[Claim, ...]) -> str:
    if found:
        detection = found[0].detection
        missing = f"; missing: {', '.join(detection.missing)}" if detection.missing else ""
        evidence = f"{'; '.join(detection.evidence)}{missing}"
        return f"The nearest family is {found[0].family} ({detection.score:.0%}: {evidence})."
    if not len(host.families):
        return "No model family is installed."
    index = path / PIPELINE
    if path.is_dir() and not index.is_file():
        return f"It has no {PIPELINE}. Asked: {', '.join(host.families)}."
    pipeline = f"Its pipeline is {_pipeline(index)}. " if path.is_dir() else ""
    return f"{pipeline}Asked: {', '.join(host.families)}."


def _pipeline(index: Path) -> str:
    try:
        return str(json.loads(index.read_text(encoding="utf-8")).get("_class_name", "not named"))
    except (ValueError, AttributeError, RecursionError):
        return f"unreadable: {PIPELINE} is not valid JSON"
