import torch

from latentry.attention import masked_rows, score_bias


class Plain:
    def probe(self):
        return None

    def attend(self, q, k, v, *, mask=None, scale=None, causal=False):
        scores = q @ k.transpose(-1, -2) * (scale or q.shape[-1] ** -0.5)
        bias = score_bias(q, k, mask=mask, causal=causal)
        scores = scores if bias is None else scores + bias
        return torch.softmax(scores, dim=-1).masked_fill(masked_rows(scores), 0) @ v
