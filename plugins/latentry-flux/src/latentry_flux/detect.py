"""Recognises FLUX.1 in a diffusers folder, from its configurations alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latentry import Detection, ModelFiles
from latentry_diffusers.configs import read_json

PARTS = ("transformer", "vae", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "scheduler")
"""Folders that a complete checkpoint has."""
PIPELINES = ("FluxPipeline", "FluxImg2ImgPipeline", "FluxInpaintPipeline", "FluxFillPipeline")


def detect(files: ModelFiles) -> Detection | None:
    """Whether the folder holds FLUX.1; None where nothing speaks for it."""
    path = files.path
    index = read_json(path / "model_index.json")
    transformer = read_json(path / "transformer" / "config.json")
    if index is None or transformer is None:
        return None
    pipeline = str(index.get("_class_name", ""))
    if not pipeline.startswith("Flux") or transformer.get("_class_name") != "FluxTransformer2DModel":
        return None
    missing = tuple(part for part in PARTS if not (path / part).is_dir())
    variant, sign = _variant(transformer)
    evidence = (f"model_index.json names {pipeline}", sign)
    if pipeline not in PIPELINES:
        return Detection((), 0.3, (*evidence, f"only {', '.join(PIPELINES)} are supported"), missing)
    if variant is None:
        return Detection((), 0.3, evidence, missing)
    return Detection((variant,), 0.4 if missing else 0.95, evidence, missing)


def _variant(transformer: Mapping[str, Any]) -> tuple[str | None, str]:
    taken = transformer.get("in_channels", 64)
    given = transformer.get("out_channels") or taken
    told = bool(transformer.get("guidance_embeds", False))
    if taken == given:
        return ("dev", "the transformer is told the guidance") if told else ("schnell", "it is told no guidance")
    whole = isinstance(taken, int) and isinstance(given, int)
    if whole and told and taken > 2 * given:
        return "fill", f"the transformer takes {taken} channels: latents, the picture around the mask, the mask"
    return None, f"the transformer takes {taken} channels and gives {given}: no network that is supported"
