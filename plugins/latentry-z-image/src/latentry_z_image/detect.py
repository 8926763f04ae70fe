"""Recognises Z-Image, from configurations and from the headers of weights."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from latentry import Detection, ModelFiles
from latentry_diffusers.bundle.complete import check_complete
from latentry_diffusers.files.configs import read_json
from latentry_diffusers.files.read import Read, shared_reader
from latentry_diffusers.recognise.metadata import folder_architecture
from latentry_diffusers.recognise.pipeline import read_pipeline
from latentry_diffusers.recognise.recognise import SURE, UNSUPPORTED, Family, recognise
from latentry_z_image.parts import specs
from latentry_z_image.variants import PARAMETERS, SHIFTS, published
from latentry_z_image.weights_file import BOTH, find_in_file, variants_of

PARTS = ("transformer", "vae", "text_encoder", "tokenizer", "scheduler")
"""Folders that a complete checkpoint has."""
PIPELINES = ("ZImagePipeline", "ZImageImg2ImgPipeline", "ZImageInpaintPipeline")
REPOSITORIES = {"z-image": "z-image", "z-image-turbo": "z-image-turbo"}
"""The architecture by published repository."""


def detect(files: ModelFiles) -> Detection | None:
    """Whether the files are those of Z-Image; None if nothing in them suggests it.

    Raises:
        ModelError: a file is damaged or unsafe.
    """
    found = recognise(files, Family("z-image", partial(_in_folder, read=shared_reader(files)), find_in_file))
    return check_complete(found, files, lambda variant: specs(), published, PARAMETERS)


def _in_folder(path: Path, read: Read) -> Detection | None:
    found = read_pipeline(path, "transformer", begins="ZImage")
    if found is None or found.denoiser.get("_class_name") != "ZImageTransformer2DModel":
        return None
    pipeline, _, transformer = found
    missing = tuple(part for part in PARTS if not (path / part).is_dir())
    evidence = (f"model_index.json names {pipeline}",)
    if pipeline not in PIPELINES or transformer.get("siglip_feat_dim") is not None:
        why = f"only {', '.join(PIPELINES)} are supported, whose transformer is given no pictures"
        return Detection((), UNSUPPORTED, (*evidence, why), missing)
    variants, sign = _variants(path, read)
    return Detection(variants, SURE, (*evidence, sign), missing, prediction="flow_prediction", possible=BOTH)


def _variants(path: Path, read: Read) -> tuple[tuple[str, ...], str]:
    """Told by the name of the published repository, else by the time shift, the one setting that differs."""
    variants, sign = variants_of(folder_architecture(path, "transformer", REPOSITORIES, read))
    shift = (read_json(path / "scheduler" / "scheduler_config.json") or {}).get("shift")
    if len(variants) > 1 and (told := tuple(name for name, own in SHIFTS.items() if own == shift)):
        return told, f"its time shift is {shift:g}, as in the published {told[0]}"
    return variants, sign
