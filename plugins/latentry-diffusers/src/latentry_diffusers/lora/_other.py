"""Files that are adapters, but of another kind than LoRA."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from latentry import ModelError

OTHERS = (
    (r"\.hada_[wt][12](_[ab])?", "LoHa, a Hadamard product of two low-rank matrices"),
    (r"\.lokr_(w[12](_[ab])?|t2)", "LoKr, a Kronecker product"),
    (r"\.(dora_scale|lora_magnitude_vector(\.\w+)*)", "DoRA, which also scales the columns of each matrix"),
    (r"\.oft_(blocks|diag|[RS])(\.\w+)*", "OFT, an orthogonal transform"),
    (r"\.boft_[RS](\.\w+)*", "BOFT, an orthogonal transform"),
    (r"\.lora_mid\.weight", "LoCon in Tucker's decomposition, three factors to a convolution"),
    (r"\.[ab][12]\.weight", "GLoRA"),
    (r"\.(on_input|ia3_l(\.\w+)*)", "IA³, which scales activations"),
    (r"\.(diff|diff_b|set_weight)", "whole weights or differences of them"),
    (r"\.lora_B(\.\w+)?\.bias", "a LoRA with biases, such as make a network one for control pictures"),
    (r"\.lora_embedding_[AB](\.\w+)?", "a LoRA of embeddings"),
    (r"\.processor\.(qkv|proj)_lora[12]?\.(down|up)\.weight", "a LoRA in XLabs' layout, which is not read"),
)
"""Ends of keys, and what they are."""


def refuse_others(file: Path, keys: Iterable[str]) -> None:
    """Refuses a file that would be applied wrongly, or in part, were it taken for a LoRA.

    Raises:
        ModelError: what it is, and by which key that shows.
    """
    patterns = [(re.compile(rf".*{end}"), kind) for end, kind in OTHERS]
    for key in keys:
        for pattern, kind in patterns:
            if pattern.fullmatch(key):
                raise ModelError(
                    f"{file} is no plain LoRA.",
                    why=f"It holds {kind}: {key}.",
                    remedy="Use a plain LoRA: two factors to a layer, with or without alpha.",
                )
