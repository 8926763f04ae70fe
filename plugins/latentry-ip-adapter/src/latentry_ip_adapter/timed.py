"""IP-Adapters whose projection depends on the noise level, as InstantX's for Stable Diffusion 3, in memory."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.embeddings import IPAdapterTimeImageProjection
from diffusers.models.normalization import AdaLayerNorm, RMSNorm
from torch import Tensor, nn

from latentry.conditioners import BaseConditioner, ControlQuery, Inject
from latentry.models import Model
from latentry_diffusers.files.headers import Headers, count
from latentry_diffusers.files.weight_files import WeightFiles
from latentry_diffusers.loading.on_device import on_device
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


class JointLayer(nn.Module):
    """Keys and values of the picture for one joint layer: the weights of diffusers' processor of that layer.

    It is called, as the processor is not as a module, so that offload can bring its weights.

    Args:
        width: of the layer.
        tokens: width of a token.
        head: width of an attention head.
        time: width of the time embedding.
    """

    def __init__(self, width: int, tokens: int, *, head: int, time: int) -> None:
        super().__init__()
        self.norm_ip = AdaLayerNorm(time, output_dim=2 * tokens, norm_eps=1e-6, chunk_dim=1)
        self.to_k_ip, self.to_v_ip = (nn.Linear(tokens, width, bias=False) for _ in range(2))
        self.norm_q, self.norm_k, self.norm_ip_k = (RMSNorm(head, 1e-6) for _ in range(3))

    def forward(self, tokens: Tensor, time: Tensor) -> dict[str, Tensor]:
        """Keys and values (rows, tokens, width), and weights of norms (1, head)."""
        normed = self.norm_ip(tokens, temb=time)
        keys = self.to_k_ip(normed)
        heads: Tensor = self.norm_ip_k(keys.unflatten(-1, (-1, self.norm_ip_k.weight.shape[0])))
        return {
            "key": heads.flatten(-2),
            "value": self.to_v_ip(normed),
            "query-norm": self.norm_q.weight[None],
            "key-norm": self.norm_k.weight[None],
        }


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
        tokens, time, rows = self._projected(sides, asked.timestep)
        weight = torch.full((1, 1, 1, 1), asked.weight, device=tokens.device)
        injected = {f"joint.weight.{self.number}": weight if asked.mask is None else weight * asked.mask}
        for number, layer in enumerate(self.adapter.layers):
            for part, tensor in layer(tokens, time).items():
                each = tensor if rows is None or len(tensor) == 1 else tensor.index_select(0, rows)
                injected[f"joint.{number}.{part}.{self.number}"] = each
        return injected

    def _projected(self, sides: list[int], timestep: float | Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Tokens and time embeddings, and which of them each row has; None: the one there is, or those in their order.

        Nothing here may wait for the device: it is called at each evaluation.
        """
        device, project = self.states.device, self.adapter.projection
        if isinstance(timestep, Tensor):
            states = self.states.index_select(0, on_device(sides, device, torch.int64))
            return *project(states, timestep.to(device).expand(len(sides))), None
        # at one noise level all rows of a side are alike
        first, last = min(sides), max(sides)
        states = self.states[first : last + 1]
        tokens, time = project(states, torch.full((len(states),), timestep, device=device))
        in_order = first == last or sides == [first, last]
        return tokens, time, None if in_order else on_device(sides, device, torch.int64)


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
        JointLayer(
            out,
            tokens,
            head=shape(f"{LAYERS}0.norm_q.weight")[0],
            time=shape(f"{LAYERS}0.norm_ip.linear.weight")[1],
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
