"""Recognises FLUX.1, from configurations and from the headers of weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latentry import Detection, ModelFiles
from latentry_diffusers.bundle.complete import check_complete
from latentry_diffusers.recognise.pipeline import read_pipeline
from latentry_diffusers.recognise.recognise import SURE, UNSUPPORTED, Family, recognise
from latentry_flux.parts import specs
from latentry_flux.variants import PARAMETERS, published
from latentry_flux.weights_file import find_in_file, variants_of

PARTS = ("transformer", "vae", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "scheduler")
"""Folders that a complete checkpoint has."""
PIPELINES = ("FluxPipeline", "FluxImg2ImgPipeline", "FluxInpaintPipeline", "FluxFillPipeline", "FluxControlPipeline")


def detect(files: ModelFiles) -> Detection | None:
    """Whether the files are those of FLUX.1; None if nothing in them suggests it.

    Raises:
        ModelError: a file is damaged or unsafe.
    """
    found = recognise(files, Family("flux", _in_folder, find_in_file))
    return check_complete(found, files, lambda variant: specs(), published, PARAMETERS)


def _in_folder(path: Path) -> Detection | None:
    found = read_pipeline(path, "transformer", begins="Flux")
    if found is None or found.denoiser.get("_class_name") != "FluxTransformer2DModel":
        return None
    pipeline, _, transformer = found
    missing = tuple(part for part in PARTS if not (path / part).is_dir())
    variants, sign = _variants(transformer)
    evidence = (f"model_index.json names {pipeline}", sign)
    if pipeline not in PIPELINES:
        return Detection((), UNSUPPORTED, (*evidence, f"only {', '.join(PIPELINES)} are supported"), missing)
    if not variants:
        return Detection((), UNSUPPORTED, evidence, missing)
    return Detection(variants, SURE, evidence, missing, prediction="flow_prediction")


def _variants(transformer: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    taken = transformer.get("in_channels", 64)
    given = transformer.get("out_channels") or taken
    return variants_of(taken, given, guided=bool(transformer.get("guidance_embeds", False)))
