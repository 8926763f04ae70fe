"""What the headers of a file show of Stable Diffusion XL."""

from __future__ import annotations

from latentry_diffusers.files.weight_files import WeightFiles
from latentry_diffusers.recognise.metadata import predicted, said_in
from latentry_diffusers.recognise.missing import Need
from latentry_diffusers.recognise.recognise import Sighting
from latentry_diffusers.recognise.unet_shape import UNetSeen, see_unet, shape_of
from latentry_diffusers.recognise.unet_support import INPAINTING, why_not_file
from latentry_sdxl.variants import UNETS

BASE_NEEDS = (
    Need("CLIP-L", ("conditioner.embedders.0.transformer.",)),
    Need("CLIP-G", ("conditioner.embedders.1.model.",)),
)
REFINER_NEEDS = (Need("CLIP-G", ("conditioner.embedders.0.model.",)),)
REFINES = "its shapes, or its single text encoder, are the refiner's"
UNTOLD = (
    "base and Turbo have the same tensors: modelspec.architecture or modelspec.title in its metadata would tell, and it"
    " has none that does"
)


def see(weights: WeightFiles) -> Sighting | None:
    """Stable Diffusion XL in a file of weights; None where there is no such network."""
    seen = see_unet(weights.tensors)
    if (
        seen is None
        or seen.shape.added is None
        or any(name.startswith("cond_stage_model.") for name in weights.tensors)
    ):
        return None
    if (reason := why_not_file(seen, weights.tensors)) is not None:
        return Sighting((), (*seen.sentences, reason))
    told = predicted(weights)
    variants, sign = _variants(seen, weights, told)
    predicts = (told[1],) if told else ("it does not say what it predicts; the published networks predict ε",)
    return Sighting(
        variants,
        (*seen.sentences, sign, *predicts),
        REFINER_NEEDS if variants == ("refiner",) else BASE_NEEDS,
        told[0] if told else "epsilon",
        any(shape_of(config) == seen.shape for config in UNETS.values()),
    )


def _variants(seen: UNetSeen, weights: WeightFiles, told: tuple[str, str] | None) -> tuple[tuple[str, ...], str]:
    single = any(name.startswith(REFINER_NEEDS[0].prefixes) for name in weights.tensors)
    if single or seen.shape == shape_of(UNETS["refiner"]):
        return ("refiner",), REFINES
    if seen.shape.channels == 9:
        return ("inpainting",), INPAINTING
    said = said_in(weights).lower()
    if "turbo" in said:
        return ("turbo",), "its metadata names Turbo"
    if "base" in said:
        return ("base",), "its metadata names base"
    if told is not None and told[0] == "v_prediction":
        return ("base",), "Turbo does not predict v"
    return ("base", "turbo"), UNTOLD
