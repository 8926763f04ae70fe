"""IP-Adapters in memory: keys and values of a picture for each layer of cross-attention, computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from latentry.conditioners import BaseConditioner, ControlQuery, Inject
from latentry.models import Model
from latentry_diffusers.files.weight_files import WeightFiles
from latentry_ip_adapter.encoder import pixels_of
from latentry_ip_adapter.names import Layout

ENDS = ("weight", "bias")


class Projections(nn.Module):
    """The adapter's own weights.

    Args:
        inside: width of the image embedding.
        width: of a token.
        tokens: how many a picture becomes.
        layers: widths of the layers that attend to the text.
        biased: whether keys and values have biases.
    """

    def __init__(self, inside: int, width: int, tokens: int, layers: Sequence[int], *, biased: bool) -> None:
        super().__init__()
        self.tokens, self.width = tokens, width
        self.proj, self.norm = nn.Linear(inside, tokens * width), nn.LayerNorm(width)
        self.keys = nn.ModuleList(nn.Linear(width, each, bias=biased) for each in layers)
        self.values = nn.ModuleList(nn.Linear(width, each, bias=biased) for each in layers)

    def forward(self, embedding: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Keys and values, (batch, tokens, width of the layer) each, of embeddings (batch, inside)."""
        tokens = self.norm(self.proj(embedding).view(-1, self.tokens, self.width))
        return [(key(tokens), value(tokens)) for key, value in zip(self.keys, self.values, strict=True)]

    @classmethod
    def like(cls, weights: WeightFiles, layers: int, layout: Layout) -> Projections:
        """With the weights of a file."""
        names = {f"{part}.{end}": f"{layout.image}{part}.{end}" for part in ("proj", "norm") for end in ENDS}
        for n in range(layers):
            for end in ENDS if layout.biased else ENDS[:1]:
                names[f"keys.{n}.{end}"] = f"{layout.keys(n)}.{end}"
                names[f"values.{n}.{end}"] = f"{layout.values(n)}.{end}"
        state = {name: weights.read(key) for name, key in names.items()}
        (rows, inside), width = state["proj.weight"].shape, state["norm.weight"].shape[0]
        widths = [state[f"keys.{n}.weight"].shape[0] for n in range(layers)]
        made = cls(inside, width, rows // width, widths, biased=layout.biased)
        made.load_state_dict(state)
        return made


class Adapter(BaseConditioner):
    """An IP-Adapter with its image encoder.

    Args:
        projections: its own weights.
        encoder: transformers' ``CLIPVisionModelWithProjection``.
        black: whether the negative prompt's output is shown a black picture, and not an embedding of zeros.
    """

    def __init__(self, projections: Projections, encoder: Any, *, black: bool = False) -> None:
        self._projections, self._encoder, self._black = projections, encoder, black
        self.networks = {"image_encoder": encoder, "ip_adapter": projections}

    def prepare(self, model: Model, picture: Tensor, options: Any, number: int) -> Inject:
        """Encodes the picture, and no picture, which is what the negative prompt's output is shown."""
        weight = self._projections.proj.weight
        pixels = pixels_of(picture, self._encoder.config.image_size).to(weight.device, weight.dtype)
        embedding: Tensor = self._encoder(pixels).image_embeds
        nothing = torch.zeros_like(embedding)
        if self._black:
            dark = pixels_of(-torch.ones_like(picture), self._encoder.config.image_size)
            nothing = self._encoder(dark.to(weight.device, weight.dtype)).image_embeds
        return _Attended(self._projections(torch.cat([embedding, nothing])), number)


@dataclass(frozen=True)
class _Attended:
    """What layers attend to.

    Attributes:
        pairs: keys and values by layer, first of the picture and then of none.
        number: of this adapter among the request's conditioners.
    """

    pairs: Sequence[tuple[Tensor, Tensor]]
    number: int

    def __call__(self, asked: ControlQuery) -> Mapping[str, Tensor]:
        injected = {} if asked.mask is None else {f"cross.mask.{self.number}": asked.mask}
        for layer, (keys, values) in enumerate(self.pairs):
            rows = [(keys[int(side)], values[int(side)]) for side in asked.negative]
            injected[f"cross.{layer}.key.{self.number}"] = torch.stack([key for key, _ in rows])
            # attention is linear in the values
            injected[f"cross.{layer}.value.{self.number}"] = asked.weight * torch.stack([value for _, value in rows])
        return injected
