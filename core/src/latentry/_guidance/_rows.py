"""Rows for one pass through a network, which may belong to several requests."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from latentry._conditioning._controls import Steer
from latentry._contract._attention_change import AttentionChange
from latentry._contract._caching._cached_pass import CachedPass, CachePart
from latentry._contract._conditioning import Conditioning
from latentry._contract._inference import inference, normal
from latentry._contract._model import Model, VariesLoras, takes_rows_of_lora_weights, takes_rows_of_timesteps
from latentry._discovery import plugin_call


@dataclass(frozen=True, eq=False)
class Rows:
    """Samples, and all that a network is told about them.

    Attributes:
        model: whose network it is.
        x: (rows, channels, height, width), in the model's dtype.
        timestep: of all of them; or of each, (rows,), float32.
        conditioning: of the same batch size.
        skip_layers: layers that are left out.
        attention: a change of the picture's attention to itself.
        steer: gives what conditioners inject; such rows go through alone.
        weights: for each row, those of the LoRAs whose weights are given at each evaluation, see ``VariesLoras``.
        caches: of rows with a step cache.
    """

    model: Model
    x: Tensor
    timestep: float | Tensor
    conditioning: Conditioning
    skip_layers: tuple[int, ...] = ()
    attention: AttentionChange | None = None
    steer: Steer | None = None
    weights: tuple[tuple[float, ...], ...] = ()
    caches: tuple[CachePart, ...] = ()

    def predict(self) -> Tensor:
        """The network's output for these rows."""
        changed: dict[str, Any] = {} if self.attention is None else {"attention": self.attention}
        if self.steer is not None:
            with inference():
                injected = self.steer(self.x, self.timestep, self.conditioning)
            changed |= {"injected": injected} if injected else {}
        cached = CachedPass(self.caches) if self.caches else None
        changed |= {"cache": cached} if cached else {}
        with plugin_call(self.model), inference(), self._weighing():  # families need not know of what is not asked for
            output = self.model.predict(
                self.x, self.timestep, self.conditioning, skip_layers=self.skip_layers, **changed
            )
            if cached:
                cached.commit()
        return normal(output)

    @property
    def kind(self) -> Hashable:
        """Equal for rows that can go through together."""
        timestep = None if takes_rows_of_timesteps(self.model) else self.timestep
        shape = tuple(self.x.shape[1:])
        first = self.weights[0] if self.weights else ()  # those of one request are alike
        return (
            id(self.model),
            shape,
            self.x.dtype,
            self.conditioning.shapes,
            self.skip_layers,
            self.attention,
            timestep,
            self.steer,
            len(first) if takes_rows_of_lora_weights(self.model) else first,
            self._cached_kind,
        )

    @property
    def _cached_kind(self) -> Hashable:
        """Rows whose LoRAs have weights of their own go alone: of some of them, blocks would be left out."""
        if not self.caches:
            return None
        return self.caches if self.weights else self.caches[0].memory.cache.kind

    def _weighing(self) -> AbstractContextManager[None]:
        if not self.weights:
            return nullcontext()
        assert isinstance(self.model, VariesLoras)  # else they were refused
        return self.model.weighing(self.weights)


Predict = Callable[[Rows], Tensor]
"""Gives the network's output for rows."""


def predict_together(several: Sequence[Rows]) -> list[Tensor]:
    """The outputs for several rows of one kind, of one pass."""
    first = several[0]
    if len(several) == 1:
        return [first.predict()]
    joined = Rows(
        first.model,
        torch.cat([rows.x for rows in several]),
        _timesteps(several),
        Conditioning.stacked([rows.conditioning for rows in several]),
        first.skip_layers,
        first.attention,
        weights=tuple(weights for rows in several for weights in rows.weights),
        caches=tuple(part for rows in several for part in rows.caches),
    )
    return list(torch.split(joined.predict(), [len(rows.x) for rows in several]))


def _timesteps(several: Sequence[Rows]) -> float | Tensor:
    """One number where all are alike, so that it needs no copy to the device."""
    timesteps = [rows.timestep for rows in several]
    if all(each == timesteps[0] for each in timesteps):
        return timesteps[0]
    device = several[0].x.device
    each = torch.tensor([rows.timestep for rows in several for _ in range(len(rows.x))], dtype=torch.float32)
    # from pinned memory the copy does not wait for the device
    return each.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else each.to(device)
