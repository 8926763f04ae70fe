"""Training of one network, with checkpoints that it resumes from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from latentry_shapes._optimizers import optimizers
from latentry_shapes._progress import Show

LAST = 0.8
"""Share of the steps after which the learning rate falls."""
SAVE_EVERY = 500
"""Default number of steps between checkpoints."""

Network = TypeVar("Network", bound=nn.Module)


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Rises over 200 steps, stays at ``peak``, and falls linearly to zero over the last fifth."""
    return peak * min(1.0, (step + 1) / 200, max(0.0, (steps - step) / steps / (1 - LAST)))


class Stage(Generic[Network]):
    """A network, the exponential average of its weights, its optimisers, and the checkpoint of all of them.

    Args:
        network: the network to train.
        file: the checkpoint. If it exists, training resumes from it.
        steps: number of steps in all.
        peak: highest learning rate.
        decay: of the exponential average.
        muon: see ``optimizers``.
    """

    def __init__(
        self, network: Network, file: Path, *, steps: int, peak: float, decay: float, muon: bool = False
    ) -> None:
        self.network, self.file, self.steps, self.peak = network, file, steps, peak
        average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        self.average = AveragedModel(network, multi_avg_fn=average)
        self.optimizers = optimizers(network, peak, muon=muon)
        self.step = 0
        if file.exists():
            state = torch.load(file, weights_only=True)
            network.load_state_dict(state["module"])
            self.average.load_state_dict(state["average"])
            for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(kept)
            self.step = state["step"]

    def save(self) -> None:
        """Writes the checkpoint to a temporary file and renames it, so that an interrupted save loses nothing."""
        state = {
            "module": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step,
        }
        part = self.file.with_suffix(".part")
        torch.save(state, part)
        part.replace(self.file)

    def run(self, loss: Callable[[int], Tensor], *, every: int, show: Show) -> Network:
        """Trains until ``steps`` and returns the averaged network. ``loss(step)`` makes its own batch."""
        self.network.train()
        recent: float | None = None
        with show(self.file.stem, self.step, self.steps) as report:
            while self.step < self.steps:
                value = self._descend(loss)
                recent = value if recent is None else 0.99 * recent + 0.01 * value
                if self.step % every == 0 or self.step == self.steps:
                    self.save()
                report(self.step, f"loss {recent:.4f}")
        return cast(Network, self.average.module.eval())

    def _descend(self, loss: Callable[[int], Tensor]) -> float:
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(self.step, self.steps, self.peak)
            optimizer.zero_grad(set_to_none=True)
        value = loss(self.step)
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        self.average.update_parameters(self.network)
        self.step += 1
        return float(value.detach())
