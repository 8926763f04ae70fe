"""Recognises Stable Diffusion XL in the headers of a file of weights."""

from __future__ import annotations

from latentry_diffusers.files.weight_files import WeightFiles
from latentry_diffusers.recognise.metadata import architecture, predicted
from latentry_diffusers.recognise.missing import Need
from latentry_diffusers.recognise.recognise import FileFinding
from latentry_diffusers.recognise.unet_shape import UNetInFile, as_published, find_unet, shape_of
from latentry_diffusers.recognise.unet_support import INPAINTING, why_not_file
from latentry_sdxl.variants import UNETS

BASE_NEEDS = (
    Need("CLIP-L", ("conditioner.embedders.0.transformer.",)),
    Need("CLIP-G", ("conditioner.embedders.1.model.",)),
)
REFINER_NEEDS = (Need("CLIP-G", ("conditioner.embedders.0.model.",)),)
EITHER = ("base", "turbo")
REFINES = "its shapes, or its single text encoder, are the refiner's"
NOT_STATED = (
    "base and Turbo have the same tensors: modelspec.architecture in its metadata would tell them apart, and it does"
    " not"
)


def find_in_file(weights: WeightFiles) -> FileFinding | None:
    """Stable Diffusion XL in a file of weights; None where there is no such network."""
    unet = find_unet(weights.tensors)
    # Stable Diffusion 2 with unCLIP has an added embedding as well, and SD's own text encoder
    if (
        unet is None
        or unet.shape.added is None
        or any(name.startswith("cond_stage_model.") for name in weights.tensors)
    ):
        return None
    if (why := why_not_file(unet, weights.tensors)) is not None:
        return FileFinding((), (*unet.sentences, why))
    shapes = {name: shape_of(config) for name, config in UNETS.items()}
    if weights.format == "gguf":
        unet = unet._replace(shape=as_published(unet.shape, shapes.values()))
    stated = predicted(weights)
    possible, variants, sign = _variants(unet, weights, stated)
    prediction = stated[1] if stated else "it does not say what it predicts; the published networks predict ε"
    return FileFinding(
        variants,
        (*unet.sentences, sign, prediction),
        REFINER_NEEDS if variants == ("refiner",) else BASE_NEEDS,
        stated[0] if stated else "epsilon",
        unet.shape in shapes.values(),
        possible,
    )


def _variants(
    unet: UNetInFile, weights: WeightFiles, stated: tuple[str, str] | None
) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """The variants that the shapes allow, those that the file's metadata leaves, and the evidence."""
    single = any(name.startswith(REFINER_NEEDS[0].prefixes) for name in weights.tensors)
    if single or unet.shape == shape_of(UNETS["refiner"]):
        return ("refiner",), ("refiner",), REFINES
    if unet.shape.channels == 9:
        return ("inpainting",), ("inpainting",), INPAINTING
    named = architecture(weights)
    for variant in ("turbo", "base"):
        if variant in named:
            return EITHER, (variant,), f"its modelspec.architecture is {named}"
    if stated is not None and stated[0] == "v_prediction":
        return EITHER, ("base",), "Turbo does not predict v"
    return EITHER, EITHER, NOT_STATED
