"""Recognises Stable Diffusion 1.x and 2.x in the headers of a file of weights."""

from __future__ import annotations

from latentry_diffusers.files.weight_files import WeightFiles
from latentry_diffusers.recognise.metadata import architecture, predicted
from latentry_diffusers.recognise.missing import Need
from latentry_diffusers.recognise.recognise import FileFinding
from latentry_diffusers.recognise.unet_shape import as_published, find_unet, shape_of
from latentry_diffusers.recognise.unet_support import INPAINTING, why_not_file
from latentry_sd.variants import UNETS

CLIP_L = Need("CLIP-L", ("cond_stage_model.",))
OPEN_CLIP_H = Need("OpenCLIP-H", ("cond_stage_model.",))
NOT_STATED = (
    "2.1, 2.1 base and SD Turbo have the same tensors: modelspec.architecture or modelspec.prediction_type (v or"
    " epsilon) in its metadata would tell them apart, and it has neither"
)


def find_in_file(weights: WeightFiles) -> FileFinding | None:
    """Stable Diffusion in a file of weights; None where there is no such network."""
    unet = find_unet(weights.tensors)
    if unet is None:
        return None
    shape, evidence = unet.shape, unet.sentences
    if shape.added is not None:
        unclip = any(name.startswith("cond_stage_model.") for name in weights.tensors)
        reason = "it is conditioned on pictures (unCLIP), which is not supported"
        return FileFinding((), (*evidence, reason)) if unclip else None
    if (why := why_not_file(unet, weights.tensors)) is not None:
        return FileFinding((), (*evidence, why))
    shapes = {name: shape_of(config) for name, config in UNETS.items()}
    if weights.format == "gguf":
        shape = as_published(shape, shapes.values())
    possible = tuple(n for n, s in shapes.items() if (s.linear, s.channels) == (shape.linear, shape.channels))
    variants, prediction, signs = _narrow_down(possible, weights)
    published = shape in shapes.values()
    if not published and prediction == "v_prediction" and "sd15" in variants:
        variants, possible = ("sd21",), ("sd21", "sd15")  # as for a folder: a network that predicts v runs as 2.1 does
    needs = (OPEN_CLIP_H if shape.linear else CLIP_L,)
    return FileFinding(variants, (*evidence, *signs), needs, prediction, published, possible)


def _narrow_down(
    possible: tuple[str, ...], weights: WeightFiles
) -> tuple[tuple[str, ...], str | None, tuple[str, ...]]:
    """The variants that the file's metadata leaves, what they predict, and the evidence."""
    stated, named = predicted(weights), architecture(weights)
    if len(possible) == 1:
        signs = (INPAINTING,) if possible[0].endswith("inpainting") else ()
        if stated is None:
            return possible, "epsilon", (*signs, "it does not say what it predicts; the published network predicts ε")
        return possible, stated[0], (*signs, stated[1])
    if "turbo" in named:
        return ("sd-turbo",), "epsilon", (f"its modelspec.architecture is {named}",)
    if stated is not None and stated[0] == "v_prediction":
        return ("sd21",), stated[0], (stated[1],)
    if "768-v" in named:
        return ("sd21",), "v_prediction", (f"its modelspec.architecture is {named}",)
    if "v2-512" in named:
        return ("sd21-base",), "epsilon", (f"its modelspec.architecture is {named}",)
    if stated is not None:
        rest = tuple(name for name in possible if name != "sd21")
        return rest, stated[0], (stated[1], "modelspec.architecture in its metadata would tell the two apart")
    return possible, None, (NOT_STATED,)
