"""The swatches' network, in plain PyTorch but for its attention, which any backend can serve."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from latentry.models import AttentionSlot

WORDS = ("red", "green", "blue", "yellow", "cyan", "magenta", "white", "black")
WIDTH = 32


class Network(nn.Module):
    """One transformer block over pixels: position, colour, time and word in, velocity out."""

    def __init__(self) -> None:
        super().__init__()
        self.word = nn.Embedding(len(WORDS) + 1, WIDTH)
        self.enter = nn.Linear(3 + 2 + 1, WIDTH)
        self.qkv, self.attention = nn.Linear(WIDTH, 3 * WIDTH), AttentionSlot("self", WIDTH)
        self.leave = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.SiLU(), nn.Linear(2 * WIDTH, 3))

    def forward(self, x: Tensor, timesteps: Tensor, word: Tensor) -> Tensor:
        """The velocity (batch, 3, h, w) of samples of that shape at timesteps (batch,) of 0 to 1000; word: (batch,)."""
        height, width = x.shape[-2:]
        rows, columns = (torch.linspace(-1, 1, side, dtype=x.dtype, device=x.device) for side in (height, width))
        place = torch.stack(torch.meshgrid(rows, columns, indexing="ij")).expand(len(x), 2, height, width)
        time = (timesteps / 1000).to(x.dtype).view(-1, 1, 1, 1).expand_as(x[:, :1])
        tokens = torch.cat([x, place, time], 1).flatten(2).transpose(1, 2)
        h = nn.functional.silu(self.enter(tokens) + self.word(word)[:, None])
        q, k, v = self.qkv(h).unsqueeze(1).chunk(3, -1)
        out: Tensor = self.leave(h + self.attention(q, k, v).squeeze(1))
        return out.transpose(1, 2).reshape(x.shape)
