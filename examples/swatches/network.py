"""The swatches' network, and what the family has to say about it: load, encode the prompt, predict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from latentry import Flow, ModelFiles, Prediction
from latentry.models import (
    AttentionSlot,
    BaseCheckpoint,
    BaseModel,
    Conditioning,
    NoiseSettings,
    PromptSettings,
    load_weights,
)

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

    def forward(self, x: Tensor, timestep: float | Tensor, word: Tensor) -> Tensor:
        """The velocity (batch, 3, h, w) of samples of that shape at timesteps of 0 to 1000; ``word`` is (batch,)."""
        height, width = x.shape[-2:]
        rows, columns = (torch.linspace(-1, 1, side, dtype=x.dtype, device=x.device) for side in (height, width))
        place = torch.stack(torch.meshgrid(rows, columns, indexing="ij")).expand(len(x), 2, height, width)
        time = (torch.full_like(x[:, :1], 1.0) * (timestep / 1000)).to(x.dtype)
        tokens = torch.cat([x, place, time], 1).flatten(2).transpose(1, 2)
        h = nn.functional.silu(self.enter(tokens) + self.word(word)[:, None])
        q, k, v = self.qkv(h).unsqueeze(1).chunk(3, -1)
        out: Tensor = self.leave(h + self.attention(q, k, v).squeeze(1))
        return out.transpose(1, 2).reshape(x.shape)


class Model(BaseModel):
    """The network in memory."""

    rows_of_timesteps = True

    def encode_prompt(self, prompts: Sequence[str], settings: PromptSettings) -> Conditioning:
        """The number of the last word that is known, 0 where none is, as ``word`` (batch,)."""
        known = [[WORDS.index(word) + 1 for word in text.lower().split() if word in WORDS] for text in prompts]
        return Conditioning({"word": torch.tensor([[0, *found][-1] for found in known], device=self.device)})

    @torch.no_grad()
    def predict(
        self, x: Tensor, timestep: float | Tensor, conditioning: Conditioning, *, skip_layers: tuple[int, ...] = ()
    ) -> Tensor:
        """The velocity, at one timestep or at one for each row."""
        timestep = timestep.view(-1, 1, 1, 1) if isinstance(timestep, Tensor) else timestep
        out: Tensor = self.denoiser(x, timestep, conditioning["word"])
        return out


class Checkpoint(BaseCheckpoint):
    """The file of weights."""

    def load(self, device: torch.device, dtype: torch.dtype, dtypes: Mapping[str, torch.dtype] | None = None) -> Model:
        """The network with its weights."""
        networks = {"denoiser": Network()}
        return Model(self, networks, load_weights(self.files.path, networks, device, dtype, dtypes))


def open_checkpoint(files: ModelFiles, variant: str) -> Checkpoint:
    """The configuration, which is the same for all."""
    return Checkpoint(files, variant, NoiseSettings(Flow(), Prediction.FLOW), size=16)
