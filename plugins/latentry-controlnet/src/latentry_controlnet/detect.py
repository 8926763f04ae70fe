"""Recognises ControlNets, from configurations and from the headers of weights."""

from __future__ import annotations

from collections.abc import Iterable

from latentry import Detection, ModelFiles
from latentry_diffusers.files.configs import read_json
from latentry_diffusers.files.headers import is_weights
from latentry_diffusers.files.read import shared_reader

SURE = 0.95
CLASSES = {
    "ControlNetModel": "unet",
    "ControlNetUnionModel": "union",
    "SD3ControlNetModel": "sd3",
    "FluxControlNetModel": "flux",
}
"""diffusers' classes, and the variants they are here."""
LABELS = {
    "unet": "a ControlNet for Stable Diffusion or SDXL",
    "union": "a ControlNet Union for SDXL",
    "sd3": "a ControlNet for Stable Diffusion 3",
    "flux": "a ControlNet for FLUX.1",
}
REFUSED = (
    ("lora_controlnet", "a Control-LoRA", "it holds differences from a UNet of full size, and not a network"),
    ("lllite_", "a ControlNet-LLLite", "it changes layers of the UNet, and is not a network of its own"),
)
"""How names begin that only networks of other kinds have."""


def detect(files: ModelFiles) -> Detection | None:
    """Whether the files are a ControlNet; None if nothing in them suggests it.

    Raises:
        ModelError: a file is damaged or unsafe.
    """
    if files.path.is_dir():
        named = (read_json(files.path / "config.json") or {}).get("_class_name")
        return _found(CLASSES[named], f"config.json names {named}") if named in CLASSES else None
    if not is_weights(files.path) or not files.path.is_file():
        return None
    names = shared_reader(files)(files.path).tensors.keys()
    for start, label, why in REFUSED:
        if (key := _first(names, start)) is not None:
            return Detection((), SURE, (f"it holds {key}: {why}",), label=label)
    variant, sign = _variant(names)
    return None if variant is None else _found(variant, f"it holds {sign}")


def _variant(names: Iterable[str]) -> tuple[str | None, str]:
    for variant, signs in (
        ("flux", ("controlnet_x_embedder.weight", "pos_embed_input.weight")),
        ("sd3", ("pos_embed_input.proj.weight",)),
        ("union", ("task_embedding", "control_add_embedding.linear_1.weight")),
        ("unet", ("controlnet_cond_embedding.conv_in.weight", "control_model.input_hint_block.0.weight")),
        ("unet", ("input_hint_block.0.weight",)),
    ):
        for sign in signs:
            if any(name in (sign, f"controlnet.{sign}") for name in names):
                return variant, sign
    return None, ""


def _first(names: Iterable[str], start: str) -> str | None:
    return next((name for name in names if name.startswith(start)), None)


def _found(variant: str, sign: str) -> Detection:
    return Detection((variant,), SURE, (sign,), label=LABELS[variant])
