"""ControlNets for UNets: Stable Diffusion 1.x and 2.x, and SDXL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from latentry.conditioners import ControlQuery, Inject
from latentry.models import Model, timestep_rows
from latentry_controlnet.networks import NAME
from latentry_controlnet.options import SDXL_MODES, ControlNetOptions, mode_number
from latentry_diffusers.conditioning.conditioner import NetworkConditioner, numbered
from latentry_diffusers.conditioning.preprocessing import preprocessed


class UNetControlNet(NetworkConditioner):
    """diffusers' ``ControlNetModel`` or ``ControlNetUnionModel``.

    Args:
        network: it.
        union: whether it is told what the picture shows.
    """

    def __init__(self, network: Any, *, union: bool = False) -> None:
        super().__init__(NAME, network)
        self._union = union

    def prepare(self, model: Model, picture: Tensor, options: Any, number: int) -> Inject:
        """Keeps the picture, in 0..1 as these networks take it."""
        chosen = options or ControlNetOptions()
        types = self.network.config.num_control_type if self._union else None
        mode = mode_number(chosen.mode, SDXL_MODES, types)
        hint = ((preprocessed(picture, options) + 1) / 2).to(self.dtype)
        return _Steering(self.network, hint, chosen.guess, _union_options(mode, types, hint))


def _union_options(mode: int | None, types: int | None, hint: Tensor) -> Mapping[str, Any]:
    if mode is None or types is None:
        return {}
    given = torch.zeros((1, types), device=hint.device, dtype=hint.dtype)
    given[:, mode] = 1
    return {"control_type": given, "control_type_idx": [mode]}


@dataclass(frozen=True)
class _Steering:
    """A ControlNet with its picture.

    Attributes:
        network: diffusers' network.
        hint: (1, 3, height, width) in 0..1.
        guess: see ``ControlNetOptions``.
        union: arguments that only a Union network takes.
    """

    network: Any
    hint: Tensor
    guess: bool
    union: Mapping[str, Any]

    def __call__(self, asked: ControlQuery) -> Mapping[str, Tensor]:
        rows, given = asked.x.shape[0], asked.conditioning.tensors
        hint, options = self.hint.expand(rows, -1, -1, -1), dict(self.union)
        if "pooled" in given:
            options["added_cond_kwargs"] = {"text_embeds": given["pooled"], "time_ids": given["time_ids"]}
        if self.union:
            options["control_type"] = self.union["control_type"].expand(rows, -1)
        down, middle = self.network(
            asked.x.to(self.hint.dtype),
            timestep_rows(asked.timestep, asked.x),
            encoder_hidden_states=given["text"],
            controlnet_cond=[hint] if self.union else hint,
            conditioning_scale=[asked.weight] if self.union else asked.weight,
            guess_mode=self.guess,
            return_dict=False,
            **options,
        )
        return {**numbered("down", down), "mid": middle}
