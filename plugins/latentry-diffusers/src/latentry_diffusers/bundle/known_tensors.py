"""Tensors in files of weights that are known and that no network needs."""

from __future__ import annotations

import re
from collections.abc import Iterable

from latentry import ModelError

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
_PACKED = re.compile(
    r"(.*\.)?(scale_weight|weight_scale(_\w+)?|scale_input|input_scale|scaled_fp8|comfy_quant|absmax|qweight)"
    r"|.*\.quant_state\..*"
)


def is_useless(name: str) -> bool:
    """Whether a tensor of that name can be ignored without saying so."""
    return _USELESS.fullmatch(name) is not None


def check_plain(where: object, names: Iterable[str]) -> None:
    """Refuses weights that are only right together with scales or tables beside them.

    Raises:
        ModelError: naming one.
    """
    packed = next((name for name in names if _PACKED.fullmatch(name)), None)
    if packed is not None:
        raise ModelError(
            f"{where} holds packed weights, which cannot be loaded.",
            why=f"{packed} is a scale or a table, and the weights would be wrong without it.",
            remedy="Get it in float16, bfloat16 or as GGUF.",
        )
