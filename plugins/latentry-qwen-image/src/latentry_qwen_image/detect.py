"""Recognises Qwen-Image, from configurations and from the headers of weights."""

from __future__ import annotations

from pathlib import Path

from latentry import Detection, ModelFiles
from latentry_diffusers.bundle.complete import check_complete
from latentry_diffusers.recognise.pipeline import read_pipeline
from latentry_diffusers.recognise.recognise import SURE, UNSUPPORTED, Family, recognise
from latentry_qwen_image.parts import specs
from latentry_qwen_image.variants import PARAMETERS, published
from latentry_qwen_image.weights_file import find_in_file

PARTS = ("transformer", "vae", "text_encoder", "tokenizer", "scheduler")
"""Folders that a complete checkpoint has."""
PIPELINES = {
    "QwenImagePipeline": "image",
    "QwenImageImg2ImgPipeline": "image",
    "QwenImageInpaintPipeline": "image",
    "QwenImageEditPipeline": "edit",
    "QwenImageEditInpaintPipeline": "edit",
    "QwenImageEditPlusPipeline": "edit-plus",
}
"""The variant by the pipeline that a folder names."""
MARKS = ("use_additional_t_cond", "use_layer3d_rope")
"""Keys of the transformer's configuration that other models of its kind set."""


def detect(files: ModelFiles) -> Detection | None:
    """Whether the files are those of Qwen-Image; None if nothing in them suggests it.

    Raises:
        ModelError: a file is damaged or unsafe.
    """
    found = recognise(files, Family("qwen-image", _in_folder, find_in_file))
    return check_complete(found, files, specs, published, PARAMETERS)


def _in_folder(path: Path) -> Detection | None:
    found = read_pipeline(path, "transformer", begins="QwenImage")
    if found is None or found.denoiser.get("_class_name") != "QwenImageTransformer2DModel":
        return None
    pipeline, _, transformer = found
    missing = tuple(part for part in PARTS if not (path / part).is_dir())
    evidence = (f"model_index.json names {pipeline}",)
    variant = PIPELINES.get(pipeline)
    if variant is None or any(transformer.get(mark) for mark in MARKS):
        why = f"only {', '.join(PIPELINES)} are supported, with pictures of one layer"
        return Detection((), UNSUPPORTED, (*evidence, why), missing)
    return Detection((variant,), SURE, evidence, missing, prediction="flow_prediction")
