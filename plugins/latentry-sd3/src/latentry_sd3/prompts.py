"""The text that MMDiT attends to: CLIP's and T5's states, concatenated (arXiv:2403.03206, figure 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import pad

from latentry_diffusers.text.clip import encode_clip, warn_if_truncated
from latentry_diffusers.text.t5 import encode_t5

if TYPE_CHECKING:
    from latentry_diffusers.bundle.tokenizers import Text

TOKENS = 256
"""Tokens of T5's window, as in diffusers."""


def encode(
    prompts: Sequence[str],
    clips: Sequence[Text],
    t5: Text | None,
    *,
    width: int,
    clip_skip: int,
    learnt: Sequence[Mapping[str, Tensor]],
) -> tuple[Tensor, Tensor]:
    """States (batch, tokens, width) and pooled states (batch, pooled width) of prompts.

    The states before the last layers of CLIP-L and CLIP-G are concatenated by channel and padded with zeros to
    ``width``; T5's follow them by token, or zeros where there is no T5. The pooled states are the projected ones of
    both CLIPs. CLIP sees the beginning of a long prompt, as much as one window holds.

    Args:
        prompts: at least one.
        clips: both CLIPs.
        t5: T5; None where there is none.
        width: of the states.
        clip_skip: how many more of CLIP's last layers are left out.
        learnt: words for each CLIP, as ``encode_clip`` takes them.
    """
    encoded = [
        encode_clip(*clip, prompts, skip=1 + clip_skip, normed=False, windows=1, learnt=words)
        for clip, words in zip(clips, learnt, strict=True)
    ]
    states = torch.cat([each.states for each in encoded], dim=-1)
    joined = pad(states, (0, width - states.shape[-1]))
    if t5 is None:
        warn_if_truncated(clips[0].tokenizer, prompts, states.shape[1] - 2)
        more = joined.new_zeros((len(prompts), TOKENS, width))
    else:
        more = encode_t5(t5.encoder, t5.tokenizer, prompts, length=TOKENS).to(joined)
    return torch.cat([joined, more], dim=1), torch.cat([each.pooled for each in encoded], dim=-1)
