"""Recognises Stable Diffusion 3 and 3.5, from configurations and from the headers of weights."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from latentry import Detection, ModelFiles
from latentry_diffusers.bundle.complete import check_complete
from latentry_diffusers.files.read import Read, shared_reader
from latentry_diffusers.recognise.metadata import folder_architecture
from latentry_diffusers.recognise.pipeline import read_pipeline
from latentry_diffusers.recognise.recognise import SURE, UNSUPPORTED, Family, recognise
from latentry_sd3.parts import specs
from latentry_sd3.variants import PARAMETERS, published
from latentry_sd3.weights_file import CHANNELS, find_in_file, narrow_down, variants_of

PARTS = ("transformer", "vae", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "scheduler")
"""Folders that a complete checkpoint has."""
T5_PARTS = ("text_encoder_3", "tokenizer_3")
"""Folders of the optional third text encoder."""
REPOSITORIES = {
    "stable-diffusion-3.5-large": "stable-diffusion-3.5-large",
    "stable-diffusion-3.5-large-turbo": "stable-diffusion-3.5-large-turbo",
}
"""The architecture by published repository."""


def detect(files: ModelFiles) -> Detection | None:
    """Whether the files are those of Stable Diffusion 3 or 3.5; None if nothing in them suggests it.

    3.5 Large Turbo has the keys and shapes of 3.5 Large: unless metadata that a program wrote says which it is, both
    are possible.

    Raises:
        ModelError: a file is damaged or unsafe.
    """
    found = recognise(files, Family("sd3", partial(_in_folder, read=shared_reader(files)), find_in_file))
    return check_complete(found, files, lambda variant: specs(), published, PARAMETERS)


def _in_folder(path: Path, read: Read) -> Detection | None:
    found = read_pipeline(path, "transformer", begins="StableDiffusion3")
    if found is None:
        return None
    pipeline, index, transformer = found
    missing = tuple(part for part in (*PARTS, *T5_PARTS) if _is_named(index, part) and not (path / part).is_dir())
    evidence = [f"model_index.json names {pipeline}"]
    if any(part in T5_PARTS for part in missing):
        evidence.append("a model without T5 says [null, null] for text_encoder_3 and tokenizer_3 in model_index.json")
    channels = transformer.get("in_channels", 16)
    if channels != 16:
        evidence.append(f"the transformer takes {channels} channels, and {CHANNELS}")
        return Detection((), UNSUPPORTED, tuple(evidence), missing)
    possible, sign = variants_of(
        normed=transformer.get("qk_norm") is not None, dual=bool(transformer.get("dual_attention_layers"))
    )
    variants = possible
    if len(possible) > 1:
        variants, more = narrow_down(folder_architecture(path, "transformer", REPOSITORIES, read))
        sign = f"{sign}; {more}" if more else sign
    return Detection(variants, SURE, (*evidence, sign), missing, prediction="flow_prediction", possible=possible)


def _is_named(index: Mapping[str, Any], part: str) -> bool:
    entry = index.get(part)
    return part in PARTS or (isinstance(entry, list) and entry[:1] != [None])
