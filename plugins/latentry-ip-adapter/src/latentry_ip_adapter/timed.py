"""IP-Adapters whose projection depends on the noise level, as InstantX's for Stable Diffusion 3, in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.attention_processor import SD3IPAdapterJointAttnProcessor2_0
from diffusers.models.embeddings import IPAdapterTimeImageProjection
from torch import Tensor, nn

from latentry.conditioners import BaseConditioner, ControlQuery, Inject
from latentry.models import Model
from latentry_diffusers.files.headers import Headers, count
from latentry_diffusers.files.weight_files import WeightFiles
from latentry_ip_adapter.encoder import whole_pixels_of

PROJECTION, LAYERS = "image_proj.", "ip_adapter."
HEAD = 64
"""Width of the projection's heads, which files do not say."""
RENAMED: Mapping[str, str] = {
    r"\.0\.norm1\.": ".ln0.",
    r"\.0\.norm2\.": ".ln1.",
    r"\.0\.to_(q|kv)\.": r".attn.to_\1.",
    r"\.0\.to_out\.": ".attn.to_out.0.",
    r"\.1\.0\.": ".adaln_norm.",
    r"\.1\.1\.": ".ff.net.0.proj.",
    r"\.1\.3\.": ".ff.net.2.",
    r"\.2\.1\.": ".adaln_proj.",
}
"""InstantX's names within a block of the projection, after its number, as patterns, and diffusers'."""


class TimedAdapter(BaseConditioner):
    """An IP-Adapter with its image encoder.

    Args:
        projection: diffusers' ``IPAdapterTimeImageProjection``.
        layers: norms and projections to keys and values of each joint layer.
        encoder: transformers' ``SiglipVisionModel``.
    """

    def __init__(self, projection: Any, layers: nn.ModuleList, encoder: Any) -> None:
        self.projection, self.layers, self._encoder = projection, layers, encoder
        self.networks = {"image_encoder": encoder, "ip_adapter": nn.ModuleList([projection, layers])}

    def prepare(self, model: Model, picture: Tensor, options: Any, number: int) -> Inject:
        """Encodes the picture; the negative prompt's output is shown states of zeros, as in diffusers."""
        pixels = whole_pixels_of(picture, self._encoder.config.image_size).to(self.projection.latents)
        states: Tensor = self._encoder(pixels, output_hidden_states=True).hidden_states[-2]
        return _Seen(self, torch.cat([states, torch.zeros_like(states)]), number)


@dataclass(frozen=True, eq=False)
class _Seen:
    """What joint layers attend to at a noise level.

    Attributes:
        adapter: it.
        states: of the picture, and zeros, (2, tokens, width).
        number: of this adapter among the request's conditioners.
    """

    adapter: TimedAdapter
    states: Tensor
    number: int

    def __call__(self, asked: ControlQuery) -> Mapping[str, Tensor]:
        sides = [int(side) for side in asked.negative]
        # at one noise level all rows of a side are alike
        several = isinstance(asked.timestep, Tensor)
        computed = sides if several else sorted(set(sides))
        rows = list(range(len(sides))) if several else [computed.index(side) for side in sides]
        times = torch.as_tensor(asked.timestep, device=self.states.device).expand(len(computed))
        tokens, time = self.adapter.projection(self.states[computed], times)
        weight = torch.full((1, 1, 1, 1), asked.weight, device=tokens.device)
        injected = {f"joint.weight.{self.number}": weight if asked.mask is None else weight * asked.mask}
        for number, layer in enumerate(self.adapter.layers):
            for part, tensor in _parts(layer, tokens, time):
                injected[f"joint.{number}.{part}.{self.number}"] = tensor if len(tensor) == 1 else tensor[rows]
        return injected


def _parts(layer: Any, tokens: Tensor, time: Tensor) -> Iterator[tuple[str, Tensor]]:
    """What one layer is given: keys and values (rows, tokens, width), weights of norms (1, head size)."""
    normed = layer.norm_ip(tokens, temb=time)
    keys = layer.to_k_ip(normed)
    heads = layer.norm_ip_k(keys.unflatten(-1, (-1, layer.norm_ip_k.weight.shape[0])))
    yield "key", heads.flatten(-2)
    yield "value", layer.to_v_ip(normed)
    yield "query-norm", layer.norm_q.weight[None]
    yield "key-norm", layer.norm_k.weight[None]


def networks_like(headers: Headers) -> tuple[Any, nn.ModuleList]:
    """The projection and the layers that a file holds, without weights, on the device of the context."""

    def shape(name: str) -> Sequence[int]:
        return headers[name].shape

    blocks = count(headers, lambda block: f"{PROJECTION}layers.{block}.0.to_q.weight") or count(
        headers, lambda block: f"{PROJECTION}layers.{block}.attn.to_q.weight"
    )
    inside, width = shape(f"{PROJECTION}proj_in.weight")
    projection = IPAdapterTimeImageProjection(
        embed_dim=width,
        output_dim=shape(f"{PROJECTION}proj_out.weight")[0],
        hidden_dim=inside,
        depth=blocks,
        dim_head=HEAD,
        heads=inside // HEAD,
        num_queries=shape(f"{PROJECTION}latents")[1],
        timestep_in_dim=shape(f"{PROJECTION}time_embedding.linear_1.weight")[1],
    )
    out, tokens = shape(f"{LAYERS}0.to_k_ip.weight")
    layers = [
        SD3IPAdapterJointAttnProcessor2_0(
            hidden_size=out,
            ip_hidden_states_dim=tokens,
            head_dim=shape(f"{LAYERS}0.norm_q.weight")[0],
            timesteps_emb_dim=shape(f"{LAYERS}0.norm_ip.linear.weight")[1],
        )
        for _ in range(count(headers, lambda layer: f"{LAYERS}{layer}.to_k_ip.weight"))
    ]
    return projection, nn.ModuleList(layers)


def load_networks(weights: WeightFiles) -> tuple[Any, nn.ModuleList]:
    """Both with the weights of a file, in its dtype, on the CPU."""
    with torch.device("meta"):
        projection, layers = networks_like(weights.tensors)
    for network, prefix in ((projection, PROJECTION), (layers, LAYERS)):
        names = [name for name in weights.tensors if name.startswith(prefix)]
        state = {own_name(name.removeprefix(prefix)): weights.read(name) for name in names}
        network.load_state_dict(state, assign=True)
    return projection, layers


def own_name(name: str) -> str:
    """diffusers' name of a tensor that may have InstantX's."""
    if (block := re.match(r"layers\.\d+", name)) is None:
        return name
    rest = name[block.end() :]
    for theirs, ours in RENAMED.items():
        if re.match(theirs, rest):
            return block[0] + re.sub(theirs, ours, rest, count=1)
    return name
