"""Recognises LoRAs and other small additions to a network by the names of their tensors."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from latentry import FileKind
from latentry_diffusers.files.weight_files import WeightFiles
from latentry_diffusers.recognise.adapter_bases import (
    FLUX,
    FLUX2,
    SD3,
    SDXL,
    Z_IMAGE,
    Base,
    by_metadata,
    by_stream_width,
    by_text_width,
)
from latentry_diffusers.recognise.adapter_keys import identify_adapter


class Adapter(NamedTuple):
    """An adapter in a file.

    Attributes:
        words: what it is.
        key: the tensor that shows it.
        base: what it was made for, where that can be told.
        kind: what can be done with it.
    """

    words: str
    key: str
    base: Base | None
    kind: FileKind


PATTERNS = (
    (
        r"(^|\.)(ip_adapter|image_proj|ip_adapter_proj_model)\.|\.ip_adapter_double_stream_",
        "an IP-Adapter",
        FileKind.OTHER,
    ),
    (r"^redux_(up|down)\.", "an image prompt adapter (Redux)", FileKind.OTHER),
    (r"(^|\.)motion_modules\.", "a motion module", FileKind.OTHER),
)
"""Patterns of names and what they mean; the first match counts. IP-Adapters may come with a LoRA of their own."""
LYCORIS = re.compile(r"^lora_(unet|te|te1|te2|te3|transformer)_")
"""How names begin in adapters by LyCORIS or kohya, of whatever kind."""


def adapter(weights: WeightFiles) -> Adapter | None:
    """The adapter in a file; None where there is none."""
    for pattern, words, kind in PATTERNS:
        found = re.compile(pattern).search
        if (key := next((name for name in weights.tensors if found(name)), None)) is not None:
            return Adapter(words, key, _base(weights), kind)
    if (named := identify_adapter(weights.tensors)) is not None:
        kind = FileKind.LORA if named.runs else FileKind.OTHER
        return Adapter(named.words, named.key, _base(weights), kind)
    if (key := next(filter(LYCORIS.match, weights.tensors), None)) is not None:
        return Adapter("a LyCORIS adapter", key, _base(weights), FileKind.LORA)
    return None


def _base(weights: WeightFiles) -> Base | None:
    tensors = weights.tensors
    return (
        by_stream_width(tensors)
        or _by_names(tensors)
        or by_text_width(weights.tensors)
        or by_metadata(weights.metadata)
    )


NAMES = (
    (r"to_qkv_mlp_proj|(single|double)_stream_modulation|ff(_context)?[._]linear_(in|out)", FLUX2),
    (r"(noise|context)_refiner|(^|[._])layers[._]\d+[._](attention[._](to_|qkv|out)|feed_forward|adaLN)", Z_IMAGE),
    (r"single_transformer_blocks|single_blocks|double_blocks", FLUX),
    (r"joint_blocks", SD3),
    (r"^lora_te2_|^text_encoder_2\.", SDXL),
)
"""Names that only one family's layers have; a second text encoder is SDXL's unless an earlier pattern matched."""


def _by_names(names: Iterable[str]) -> Base | None:
    for pattern, base in NAMES:
        found = re.compile(pattern).search
        if any(found(name) for name in names):
            return base
    return None
