"""Tensors in files of weights that are known and that no network needs."""

from __future__ import annotations

import re
from pathlib import Path

from latentry import ModelError
from latentry_diffusers.files.scales import WITH_WEIGHTS, unreadable
from latentry_diffusers.files.weight_files import WeightFiles

_DIFFUSION = (
    "betas|logvar|scale_factor|(alphas|posterior|sqrt|log)_\\w+|model_ema\\..*|first_stage_model\\.loss\\..*"
    "|denoiser\\.sigmas|v_pred|ztsnr|edm_\\w+|iteration|global_step|model_sampling\\..*"
)
"""Tables of the process in training, running averages, losses, marks."""
_OPEN_CLIP_END = "cond_stage_model\\.model\\.(transformer\\.resblocks\\.23\\..*|text_projection)"
"""Stable Diffusion 2 uses the states before the last layer, and no pooled state."""
_CLIP = "(.*\\.)?(logit_scale|position_ids|attn_mask)|(text_model\\.)?text_projection\\.weight|text_projection"
_VISION = "vision_model\\..*|visual_projection\\..*|visual\\..*"
_T5 = (
    "dec\\.(blk\\..*|output_norm\\.weight)|decoder\\.(block|embed_tokens|final_layer_norm)\\..*"
    "|lm_head\\.weight|spiece_model|tokenizer_json"
)
"""Of the decoder, in the names of llama.cpp and of transformers, and vocabularies kept as tensors."""
_SHARED = "(.*\\.)?(shared|encoder\\.embed_tokens)\\.weight"
"""T5's embeddings have two names; one is enough."""

_USELESS = re.compile("|".join((_DIFFUSION, _OPEN_CLIP_END, _CLIP, _VISION, _T5, _SHARED)))


def is_useless(name: str) -> bool:
    """Whether a tensor of that name can be ignored without saying so."""
    return _USELESS.fullmatch(name) is not None or WITH_WEIGHTS.fullmatch(name) is not None


def check_readable(part: str, where: Path, weights: WeightFiles, prefix: str) -> None:
    """Refuses a part whose weights are packed in a way that is not read; other parts in the same file do not matter.

    Args:
        part: its name.
        where: the file or folder, to be named.
        weights: the files.
        prefix: how the names of the part's tensors begin.

    Raises:
        ModelError: naming a tensor.
    """
    if (name := unreadable(weights.tensors, (prefix,))) is not None:
        raise ModelError(
            f"The weights of the {part} in {where} are packed in a way that is not supported.",
            why=f"The tensor {name} shows it. Float8 weights with one scale, or with one for each row, are supported.",
            remedy="Use the weights in float16 or bfloat16, in float8, or as GGUF.",
        )
