"""ControlNets for FLUX.1: those of InstantX and Shakker Labs, also Union ones, and those of XLabs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from latentry.conditioners import ControlQuery, Inject
from latentry.models import timestep_rows
from latentry_controlnet.networks import NAME
from latentry_controlnet.options import FLUX_MODES, ControlNetOptions, mode_number
from latentry_diffusers.conditioning.conditioner import NetworkConditioner
from latentry_diffusers.conditioning.preprocessing import preprocessed
from latentry_flux.packing import pack, positions

TIMESTEPS = 1000
"""The network takes σ and multiplies it by this itself."""


class FluxControlNet(NetworkConditioner):
    """diffusers' ``FluxControlNetModel``.

    Args:
        network: it.
        base: configuration of the transformer that it steers.
    """

    def __init__(self, network: Any, base: Mapping[str, Any]) -> None:
        super().__init__(NAME, network)
        self._double, self._single = int(base["num_layers"]), int(base["num_single_layers"])

    def prepare(self, model: Any, picture: Tensor, options: Any, number: int) -> Inject:
        """Encodes the picture; XLabs' networks take it as it is."""
        mode = mode_number((options or ControlNetOptions()).mode, FLUX_MODES, self.network.config.num_mode)
        plain = self.network.input_hint_block is not None
        seen = preprocessed(picture, options)
        shown = seen if plain else pack(model.encode(seen))
        numbers = None if mode is None else torch.full((1, 1), mode, device=shown.device)
        return _Steering(self.network, shown.to(self.dtype), numbers, (self._double, self._single), plain)


@dataclass(frozen=True)
class _Steering:
    """A ControlNet with its picture.

    Attributes:
        network: diffusers' network.
        shown: the picture, (1, 3, height, width) in −1..1, or the tokens of its latents.
        mode: (1, 1), for a Union network.
        blocks: double and single blocks of the transformer that is steered.
        repeat: whether its outputs begin again after the last, as with XLabs, or are stretched over the blocks.
    """

    network: Any
    shown: Tensor
    mode: Tensor | None
    blocks: tuple[int, int]
    repeat: bool

    def __call__(self, asked: ControlQuery) -> Mapping[str, Tensor]:
        x, given = asked.x.to(self.shown.dtype), asked.conditioning.tensors
        text, rows = given["text"], x.shape[0]
        double, single = self.network(
            hidden_states=pack(x),
            controlnet_cond=self.shown.expand(rows, *self.shown.shape[1:]),
            controlnet_mode=None if self.mode is None else self.mode.expand(rows, -1),
            conditioning_scale=asked.weight,
            timestep=timestep_rows(asked.timestep, asked.x) / TIMESTEPS,
            guidance=given["guidance"] if self.network.config.guidance_embeds else None,
            pooled_projections=given["pooled"],
            encoder_hidden_states=text,
            txt_ids=torch.zeros((text.shape[1], 3), device=x.device, dtype=torch.int64),
            img_ids=positions(x.shape[-2], x.shape[-1], x.device),
            return_dict=False,
        )
        first = _over(double, self.blocks[0], repeat=self.repeat)
        second = _over(single, self.blocks[1], repeat=False)
        return {f"double.{n}": each for n, each in first.items()} | {f"single.{n}": each for n, each in second.items()}


def _over(samples: Any, blocks: int, *, repeat: bool) -> Mapping[int, Tensor]:
    """A sample for each block: diffusers gives ⌈blocks / samples⌉ in a row the same one."""
    if not samples:
        return {}
    each = -(-blocks // len(samples))
    return {n: samples[n % len(samples) if repeat else n // each] for n in range(blocks)}
