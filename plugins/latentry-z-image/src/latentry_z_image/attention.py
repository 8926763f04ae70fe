"""Z-Image's attention over one sequence of picture and text, with rotary position embeddings."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from latentry_diffusers.attention import Processor, joined, own_heads, turned


class SingleStreamProcessor(Processor):
    """What diffusers' layers call in place of ``ZSingleStreamAttnProcessor``."""

    role = "joint"  # those of the refiners see the picture or the text alone

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        freqs_cis: Tensor | None = None,
    ) -> Tensor:
        """Runs one attention layer.

        Args:
            attn: the layer.
            hidden_states: (batch, tokens, width).
            encoder_hidden_states: None in all of them.
            attention_mask: (batch, tokens), False for padding.
            freqs_cis: e^(iφ) of each token's position, complex, (batch, tokens, head size / 2).
        """
        q, k, v = own_heads(attn, hidden_states, lambda project: project)
        if freqs_cis is not None:
            q, k = (turned(each, freqs_cis[:, None]) for each in (q, k))
        mask = attention_mask if attention_mask is None else attention_mask[:, None, None]
        states: Tensor = attn.to_out[0](joined(self.backend.attend(q, k, v, mask=mask), q.dtype))
        return states
