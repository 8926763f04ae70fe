"""What the headers of a file show of Stable Diffusion 1.x and 2.x."""

from __future__ import annotations

from latentry_diffusers.files.weight_files import WeightFiles
from latentry_diffusers.recognise.metadata import predicted, said_in
from latentry_diffusers.recognise.missing import Need
from latentry_diffusers.recognise.recognise import Sighting
from latentry_diffusers.recognise.unet_shape import see_unet, shape_of
from latentry_diffusers.recognise.unet_support import INPAINTING, why_not_file
from latentry_sd.variants import UNETS

CLIP_L = Need("CLIP-L", ("cond_stage_model.",))
OPEN_CLIP_H = Need("OpenCLIP-H", ("cond_stage_model.",))
UNTOLD = (
    "2.1, 2.1 base and SD Turbo have the same tensors: modelspec.prediction_type (v or epsilon), modelspec.architecture"
    " or modelspec.title in its metadata would tell, and it has none that does"
)


def see(weights: WeightFiles) -> Sighting | None:
    """Stable Diffusion in a file of weights; None where there is no such network."""
    seen = see_unet(weights.tensors)
    if seen is None:
        return None
    shape, evidence = seen.shape, seen.sentences
    if shape.added is not None:
        unclip = any(name.startswith("cond_stage_model.") for name in weights.tensors)
        return Sighting((), (*evidence, "it is told pictures (unCLIP), which is not supported")) if unclip else None
    if (reason := why_not_file(seen, weights.tensors)) is not None:
        return Sighting((), (*evidence, reason))
    shapes = {name: shape_of(config) for name, config in UNETS.items()}
    alike = {name for name, one in shapes.items() if (one.linear, one.channels) == (shape.linear, shape.channels)}
    variants, prediction, signs = _narrowed(tuple(name for name in shapes if name in alike), weights)
    published = shape in shapes.values()
    if not published and prediction == "v_prediction" and "sd15" in variants:
        variants = ("sd21",)  # as of a folder: what predicts v runs as 2.1 does
    needs = (OPEN_CLIP_H if shape.linear else CLIP_L,)
    return Sighting(variants, (*evidence, *signs), needs, prediction, published)


def _narrowed(variants: tuple[str, ...], weights: WeightFiles) -> tuple[tuple[str, ...], str | None, tuple[str, ...]]:
    """Those that what the file says of itself leaves, what they predict, and by which signs."""
    told, said = predicted(weights), said_in(weights).lower()
    if len(variants) == 1:
        signs = (INPAINTING,) if variants[0].endswith("inpainting") else ()
        if told is None:
            return variants, "epsilon", (*signs, "it does not say what it predicts; the published network predicts ε")
        return variants, told[0], (*signs, told[1])
    if "turbo" in said:
        return ("sd-turbo",), "epsilon", ()
    if told is not None and told[0] == "v_prediction":
        return ("sd21",), told[0], (told[1],)
    if "768-v" in said:
        return ("sd21",), "v_prediction", ()
    if "v2-512" in said or "2.1 base" in said:
        return ("sd21-base",), "epsilon", ()
    if told is not None:
        rest = tuple(name for name in variants if name != "sd21")
        return rest, told[0], (told[1], "a title or architecture with Turbo or 512 in its metadata would tell the two")
    return variants, None, (UNTOLD,)
