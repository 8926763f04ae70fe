"""Recognises Stable Diffusion 3 and 3.5, from configurations and from the headers of weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latentry import Detection, ModelFiles
from latentry_diffusers.recognise.metadata import said_of
from latentry_diffusers.recognise.recognise import SURE, UNSUPPORTED, Family, read_pipeline, recognise
from latentry_sd3.sighting import CHANNELS, see

PARTS = ("transformer", "vae", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "scheduler")
"""Folders that a complete checkpoint has."""
T5_PARTS = ("text_encoder_3", "tokenizer_3")
"""Folders of the optional third text encoder."""


def detect(files: ModelFiles) -> Detection | None:
    """Whether the files are those of Stable Diffusion 3 or 3.5; None where nothing speaks for it.

    3.5 Large Turbo has the keys and shapes of 3.5 Large: where the files do not say which they are, both are possible.

    Raises:
        ModelError: a file is damaged or unsafe.
    """
    return recognise(files, Family("sd3", _in_folder, see))


def _in_folder(path: Path) -> Detection | None:
    found = read_pipeline(path, "transformer", begins="StableDiffusion3")
    if found is None:
        return None
    pipeline, index, transformer = found
    missing = tuple(part for part in (*PARTS, *T5_PARTS) if _named(index, part) and not (path / part).is_dir())
    evidence = [f"model_index.json names {pipeline}"]
    if any(part in T5_PARTS for part in missing):
        evidence.append("without T5, model_index.json says [null, null] for text_encoder_3 and tokenizer_3")
    channels = transformer.get("in_channels", 16)
    if channels != 16:
        evidence.append(f"the transformer takes {channels} channels, and {CHANNELS}")
        return Detection((), UNSUPPORTED, tuple(evidence), missing)
    variants, sign = _variants(path, transformer)
    return Detection(variants, SURE, (*evidence, sign), missing, prediction="flow_prediction")


def _named(index: Mapping[str, Any], part: str) -> bool:
    entry = index.get(part)
    return part in PARTS or (isinstance(entry, list) and entry[:1] != [None])


def _variants(path: Path, transformer: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    if transformer.get("qk_norm") is None:
        return ("sd3-medium",), "queries and keys are not normed"
    if transformer.get("dual_attention_layers"):
        return ("sd35-medium",), "queries and keys are normed, and some layers have a second attention"
    said = said_of(path, "transformer").lower()
    if "turbo" in said:
        return ("sd35-large-turbo",), "queries and keys are normed, and the files are named Turbo"
    if "large" in said:
        return ("sd35-large",), "queries and keys are normed, and the files are named Large"
    return ("sd35-large", "sd35-large-turbo"), "queries and keys are normed, as in Large and in Large Turbo"
