"""Known tensors in weight files that no network needs."""

from __future__ import annotations

import re
from collections.abc import Mapping

from latentry import ModelError
from latentry_diffusers.bundle.sources import Part
from latentry_diffusers.files.scales import WITH_WEIGHTS, unreadable

_DIFFUSION = (
    "betas|logvar|scale_factor|(alphas|posterior|sqrt|log)_\\w+|model_ema\\..*|first_stage_model\\.loss\\..*"
    "|denoiser\\.sigmas|v_pred|ztsnr|edm_\\w+|iteration|global_step|model_sampling\\..*"
)
"""Tables of the training's noise process, running averages (EMA), losses, marks."""
_OPEN_CLIP_END = "cond_stage_model\\.model\\.(transformer\\.resblocks\\.23\\..*|text_projection)"
"""What Stable Diffusion 2 leaves out: it uses the states before the last layer, and no pooled state."""
_CLIP = "(.*\\.)?(logit_scale|position_ids|attn_mask)|(text_model\\.)?text_projection\\.weight|text_projection"
_VISION = "vision_model\\..*|visual_projection\\..*|(model\\.)?(visual|vision_tower|multi_modal_projector)\\..*"
_HEAD = "(language_model\\.)?lm_head\\.weight|tekken_model"
"""The layer of a language model that names words, and a vocabulary stored as a tensor."""
_T5 = (
    "dec\\.(blk\\..*|output_norm\\.weight)|decoder\\.(block|embed_tokens|final_layer_norm)\\..*"
    "|lm_head\\.weight|spiece_model|tokenizer_json"
)
"""T5's decoder, by llama.cpp's and transformers' names, and vocabularies stored as tensors."""
_SHARED = "(.*\\.)?(shared|encoder\\.embed_tokens)\\.weight"
"""Both names of T5's embeddings; a file needs only one."""

_USELESS = re.compile("|".join((_DIFFUSION, _OPEN_CLIP_END, _CLIP, _VISION, _HEAD, _T5, _SHARED)))


def is_useless(name: str) -> bool:
    """Whether a tensor with this name can be ignored silently."""
    return _USELESS.fullmatch(name) is not None or WITH_WEIGHTS.fullmatch(name) is not None


def check_readable(parts: Mapping[str, Part]) -> None:
    """Refuses parts whose weights are packed in an unsupported way; what else is in their files does not matter.

    Raises:
        ModelError: naming a tensor.
    """
    shown = {name: unreadable(part.weights.tensors, (part.prefix,)) for name, part in parts.items()}
    for part, name in shown.items():
        if name is None:
            continue
        raise ModelError(
            f"The weights of the {part} in {parts[part].origin} are packed in a way that is not supported.",
            why=f"The tensor {name} shows it. Float8 weights with one scale, or with one for each row, are supported.",
            remedy="Use the weights in float16 or bfloat16, in float8, or as GGUF.",
        )
