"""Tells which family an adapter was made for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from latentry_diffusers.files.headers import Headers


class Base(NamedTuple):
    """What an adapter was made for.

    Attributes:
        family: the name of the family.
        label: in words.
    """

    family: str
    label: str


SD1 = Base("sd", "Stable Diffusion 1.x")
SD2 = Base("sd", "Stable Diffusion 2.x")
SDXL = Base("sdxl", "Stable Diffusion XL")
REFINER = Base("sdxl", "the refiner of Stable Diffusion XL")
SD3 = Base("sd3", "Stable Diffusion 3")
FLUX = Base("flux", "FLUX.1")
FLUX2 = Base("flux2", "FLUX.2")
Z_IMAGE = Base("z-image", "Z-Image")

TEXT: Mapping[int, Base] = {768: SD1, 1024: SD2, 2048: SDXL, 1280: REFINER}
"""Bases by the width of the text states that the UNet attends to."""
STREAMS: Mapping[int, Base] = {1536: SD3, 2432: SD3, 3072: FLUX, 4096: FLUX2, 6144: FLUX2}
"""Bases by the width of a transformer with joint attention."""
SMALLEST = 27_648
"""Rows of the first layer of a single block in FLUX.2 klein 4B, whose streams are as wide as FLUX.1's."""
SAID: tuple[tuple[str, Base], ...] = (
    ("flux-2", FLUX2),
    ("flux2", FLUX2),
    ("flux", FLUX),
    ("z-image", Z_IMAGE),
    ("zimage", Z_IMAGE),
    ("stable-diffusion-xl-v1-refiner", REFINER),
    ("stable-diffusion-xl", SDXL),
    ("sdxl", SDXL),
    ("stable-diffusion-3", SD3),
    ("stable-diffusion-v3", SD3),
    ("sd3", SD3),
    ("stable-diffusion-v2", SD2),
    ("sd_v2", SD2),
    ("stable-diffusion-v1", SD1),
    ("sd_v1", SD1),
)
"""How modelspec.architecture and kohya's ss_base_model_version begin."""


def by_text_width(tensors: Headers) -> Base | None:
    """Tells the base from the input width of the keys in cross-attention, or of both streams of a transformer."""
    cross = _inputs(tensors, ("attn2.to_k.", "attn2_to_k.", "attn2.to_v.", "attn2_to_v.", "attn2.processor.to_k_lora."))
    if (base := next((TEXT[width] for width in cross if width in TEXT), None)) is not None:
        return base
    joint = _inputs(tensors, ("attn.add_k_proj.", "attn_add_k_proj.", "attn.add_q_proj.", "attn_add_q_proj."))
    return next((STREAMS[width] for width in joint if width in STREAMS), None)


def by_stream_width(tensors: Headers) -> Base | None:
    """Tells FLUX.2 in FLUX's original layout, by the width of its streams or the rows of its single blocks."""
    widths = _inputs(tensors, ("img_attn.qkv.", "img_attn_qkv.", ".linear1.", "_linear1."))
    if any(STREAMS.get(width) is FLUX2 for width in widths):
        return FLUX2
    rows = {header.shape[0] for name, header in tensors.items() if "linear1." in name and header.shape}
    return FLUX2 if SMALLEST in rows else None


def by_metadata(metadata: Mapping[str, str]) -> Base | None:
    """Tells the base from what the metadata say about it."""
    for key in ("modelspec.architecture", "ss_base_model_version"):
        said = metadata.get(key, "").lower()
        for start, base in SAID:
            if said.startswith(start):
                return base
    return None


def _inputs(tensors: Headers, layers: tuple[str, ...]) -> Iterable[int]:
    """The numbers of inputs of the layers whose names match; for a LoRA, those of its first factor."""
    for name, header in tensors.items():
        second = any(part in name for part in ("lora_up", "lora_B", ".up.weight", ".alpha"))
        if not second and len(header.shape) >= 2 and any(layer in name for layer in layers):
            yield header.shape[1]
