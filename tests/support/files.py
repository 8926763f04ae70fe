"""The tiny models in other files than a folder: the original layouts, put together from the tables' inverse."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

Places = Mapping[str, tuple[str, Callable[..., Any]]]
"""By part: what names begin with in a single file, and the table of its layout."""


def places(family: str) -> Places:
    """Where a family's published single files hold each part."""
    from latentry_diffusers.layouts.clip import clip_pairs, open_clip_pairs
    from latentry_diffusers.layouts.flux import flux_pairs
    from latentry_diffusers.layouts.sd3 import sd3_pairs
    from latentry_diffusers.layouts.t5 import t5_pairs
    from latentry_diffusers.layouts.unet import unet_pairs
    from latentry_diffusers.layouts.vae import vae_pairs

    drawing = "model.diffusion_model."
    vae = ("first_stage_model.", vae_pairs)
    projected, big = partial(clip_pairs, projected=True), partial(open_clip_pairs, projected=True)
    own = "conditioner.embedders."
    table: dict[str, Places] = {
        "sd": {
            "unet": (drawing, unet_pairs),
            "vae": vae,
            "text_encoder": ("cond_stage_model.transformer.", clip_pairs),
        },
        "sd2": {
            "unet": (drawing, unet_pairs),
            "vae": vae,
            "text_encoder": ("cond_stage_model.model.", open_clip_pairs),
        },
        "sdxl": {
            "unet": (drawing, unet_pairs),
            "vae": vae,
            "text_encoder": (f"{own}0.transformer.", clip_pairs),
            "text_encoder_2": (f"{own}1.model.", big),
        },
        "refiner": {"unet": (drawing, unet_pairs), "vae": vae, "text_encoder_2": (f"{own}0.model.", big)},
        "sd3": {
            "transformer": (drawing, sd3_pairs),
            "vae": vae,
            "text_encoder": ("text_encoders.clip_l.transformer.", projected),
            "text_encoder_2": ("text_encoders.clip_g.transformer.", projected),
            "text_encoder_3": ("text_encoders.t5xxl.transformer.", t5_pairs),
        },
        "flux": {
            "transformer": ("", flux_pairs),
            "vae": ("", vae_pairs),
            "text_encoder": ("", clip_pairs),
            "text_encoder_2": ("", t5_pairs),
        },
    }
    return table[family]


def original(folder: Path, part: str, place: tuple[str, Callable[..., Any]]) -> dict[str, Any]:
    """The tensors of a part of a diffusers folder, under their original names."""
    from safetensors.torch import load_file

    from latentry_diffusers.bundle.networks import common_name
    from latentry_diffusers.layouts import backward

    prefix, layout = place
    (file,) = (folder / part).glob("*.safetensors")
    tensors = {common_name(name): tensor for name, tensor in load_file(file).items()}
    found = {}
    for pair in layout(json.loads((folder / part / "config.json").read_text())):
        named = {name: tensors[common_name(name)] for name in pair.diffusers}
        found[f"{prefix}{pair.original}"] = backward(pair, named).contiguous()
    return found


def write_single(folder: Path, out: Path, wanted: Places, **more: Any) -> Path:
    """Some parts of a diffusers folder as one file in the original layout.

    Args:
        folder: the model.
        out: the file.
        wanted: which parts, and where.
        more: further tensors.
    """
    from safetensors.torch import save_file

    tensors = {key: value for part, place in wanted.items() for key, value in original(folder, part, place).items()}
    save_file({name: tensor.clone() for name, tensor in tensors.items()} | more, out, metadata={"format": "pt"})
    return out


def write_saved(folder: Path, out: Path, networks: Mapping[str, Any], *, suffix: str = "", **settings: Any) -> Path:
    """A diffusers folder whose networks the libraries save anew, and the rest as it was.

    Args:
        folder: the model.
        out: the folder to be made.
        networks: by part.
        suffix: put before that of each file of weights.
        settings: of ``save_pretrained``.
    """
    shutil.copytree(folder, out, ignore=lambda _, names: [name for name in names if name in networks])
    for part, network in networks.items():
        network.save_pretrained(out / part, **settings)
        for file in (out / part).glob("*.safetensors") if suffix else ():
            file.rename(file.with_suffix(f".{suffix}.safetensors"))
    return out
