"""Recognises FLUX.2, from configurations and from the headers of weights."""

from __future__ import annotations

from pathlib import Path

from latentry import Detection, ModelFiles
from latentry_diffusers.bundle.complete import check_complete
from latentry_diffusers.recognise.pipeline import read_pipeline
from latentry_diffusers.recognise.recognise import SURE, UNSUPPORTED, Family, recognise
from latentry_flux2.parts import specs
from latentry_flux2.variants import PARAMETERS, published
from latentry_flux2.weights_file import find_in_file, variants_of

PARTS = ("transformer", "vae", "text_encoder", "tokenizer", "scheduler")
"""Folders that a complete checkpoint has."""
PIPELINES = ("Flux2Pipeline", "Flux2KleinPipeline", "Flux2KleinInpaintPipeline")


def detect(files: ModelFiles) -> Detection | None:
    """Whether the files are those of FLUX.2; None if nothing in them suggests it.

    Raises:
        ModelError: a file is damaged or unsafe.
    """
    found = recognise(files, Family("flux2", _in_folder, find_in_file))
    return check_complete(found, files, specs, published, PARAMETERS)


def _in_folder(path: Path) -> Detection | None:
    found = read_pipeline(path, "transformer", begins="Flux2")
    if found is None or found.denoiser.get("_class_name") != "Flux2Transformer2DModel":
        return None
    pipeline, index, transformer = found
    missing = tuple(part for part in PARTS if not (path / part).is_dir())
    heads, head = transformer.get("num_attention_heads", 48), transformer.get("attention_head_dim", 128)
    evidence = (f"model_index.json names {pipeline}",)
    if pipeline not in PIPELINES or not (isinstance(heads, int) and isinstance(head, int)):
        return Detection((), UNSUPPORTED, (*evidence, f"only {', '.join(PIPELINES)} are supported"), missing)
    possible = variants_of(heads * head, guided=bool(transformer.get("guidance_embeds", True)))
    distilled = bool(index.get("is_distilled", False))
    variant = possible[0] if len(possible) == 1 or distilled else possible[1]
    sign = "the transformer takes the guidance scale" if len(possible) == 1 else f"is_distilled is {distilled}"
    said = (*evidence, sign)
    return Detection((variant,), SURE, said, missing, prediction="flow_prediction", possible=possible)
