"""Whose files these are: asks the installed families, which read headers and configurations alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from latentry._discovery import PluginHost
from latentry._errors import ModelError
from latentry._files._repository import PIPELINE
from latentry._specs import Detection, ModelFamilySpec, ModelFiles, VariantSpec

SURE = 0.5
"""From this score on a family's answer counts."""

OTHER_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "a LoRA": "Give the model it was made for with --model, and this beside it with --lora.",
        "an autoencoder": "Give the model with --model, and this beside it with --vae.",
        "a text encoder": "Give the model with --model, and this beside it with --text-encoder.",
    }
)
"""What to do with files that are no model, by how the words for them begin."""
A_MODEL = "Give a model: a folder, a file or an installed name."


@dataclass(frozen=True)
class Claim:
    """A family's answer about some files; ``family`` is ``distribution:name``."""

    family: str
    detection: Detection


def claims(host: PluginHost, files: ModelFiles) -> tuple[Claim, ...]:
    """What the installed families say of some files, the surest first; those that say nothing are left out."""
    found = []
    for name in host.families:
        detect: Callable[[ModelFiles], Detection | None] = host.families.load(name, "detector")
        if (detection := detect(files)) is not None:
            found.append(Claim(host.families.qualified(name), detection))
    return tuple(sorted(found, key=lambda claim: -claim.detection.score))


def recognise(host: PluginHost, files: ModelFiles, asked: str | None) -> tuple[str, VariantSpec]:
    """The family of some files, and their variant.

    Args:
        host: what is installed.
        files: a model's.
        asked: the variant that the request names.

    Raises:
        ModelError: they are no model, no family knows them, or the variant is none of theirs or not to be told.
    """
    found = claims(host, files)
    sure = [claim for claim in found if claim.detection.score >= SURE and _is_something(claim.detection)]
    if not sure:
        raise ModelError(
            f"{files.path} is not a model that an installed family knows.",
            why=_why_not(host, files.path, found),
            remedy="Give a folder in the diffusers layout (with model_index.json), or install the family."
            if files.path.is_dir()
            else f"Give the weights of a model{_without_config(files)}, or install its family.",
        )
    best = [claim for claim in sure if claim.detection.score == sure[0].detection.score]
    if (kind := best[0].detection.kind) != "model":
        raise ModelError(
            f"{files.path} is {kind}, not a model.",
            why=_sentence(best[0].detection),
            remedy=next((to_do for start, to_do in OTHER_KINDS.items() if kind.startswith(start)), A_MODEL),
        )
    fitting = [claim for claim in best if asked in (claim.detection.possible or claim.detection.variants)]
    claim = (fitting or best)[0]
    return claim.family, _variant(files.path, host.families[claim.family], claim.detection, asked)


def _without_config(files: ModelFiles) -> str:
    return "" if files.config is None else " and the --config that belongs to it"


def _is_something(detection: Detection) -> bool:
    """A model without a variant is one that its family knows and cannot run."""
    return bool(detection.variants) or detection.kind != "model"


def _variant(path: Path, family: ModelFamilySpec, detection: Detection, asked: str | None) -> VariantSpec:
    possible = detection.variants
    if asked is not None:
        chosen = named_variant(family, asked)
        if asked not in (detection.possible or possible):  # what is asked for counts unless the shapes contradict it
            raise ModelError(
                f"{path} is no {asked}: it is {' or '.join(possible)}.",
                why=_sentence(detection),
                remedy="Leave --variant out, or give the model that was meant.",
            )
        return chosen
    if len(possible) > 1:
        raise ModelError(
            f"{path} can be any of {', '.join(possible)}: its files do not tell.",
            why=_sentence(detection),
            remedy=f"Say which it is: {' or '.join(f'--variant {name}' for name in possible)}.",
        )
    return named_variant(family, possible[0])


def named_variant(family: ModelFamilySpec, name: str) -> VariantSpec:
    """A family's variant by name.

    Raises:
        ModelError: it has none of that name.
    """
    known = {variant.name: variant for variant in family.variants}
    if name not in known:
        raise ModelError(f"The family {family.name!r} has no variant {name!r}.", remedy=f"It has {', '.join(known)}.")
    return known[name]


def _sentence(detection: Detection) -> str:
    """The evidence in one sentence."""
    return f"Seen: {'; '.join(detection.evidence)}." if detection.evidence else ""


def _why_not(host: PluginHost, path: Path, found: tuple[Claim, ...]) -> str:
    if found:
        detection = found[0].detection
        missing = f"; missing: {', '.join(detection.missing)}" if detection.missing else ""
        told = f"{'; '.join(detection.evidence)}{missing}"
        return f"The nearest is {found[0].family} ({detection.score:.0%}: {told})."
    if not len(host.families):
        return "No model family is installed."
    index = path / PIPELINE
    if path.is_dir() and not index.is_file():
        return f"It holds no {PIPELINE}. Asked: {', '.join(host.families)}."
    told = f"Its pipeline is {_pipeline(index)}. " if path.is_dir() else ""
    return f"{told}Asked: {', '.join(host.families)}."


def _pipeline(index: Path) -> str:
    try:
        return str(json.loads(index.read_text()).get("_class_name", "not named"))
    except (ValueError, AttributeError, RecursionError):
        return f"unreadable: {PIPELINE} is not valid JSON"
