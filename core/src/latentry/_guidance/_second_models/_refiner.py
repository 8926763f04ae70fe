"""A second network that takes over for the last steps."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from latentry._contract._model import Checkpoint
from latentry._discovery import PluginHost
from latentry._errors import IncompatibleError
from latentry._files._finding._access import Access
from latentry._files._finding._locate import Located
from latentry._guidance._evaluate import Branch, Evaluate
from latentry._guidance._second_models._second_model import obstacles, open_second
from latentry._numerics._processes._point import Query


@dataclass(frozen=True)
class Refiner:
    """The second network of a request.

    Attributes:
        located: where its checkpoint is.
        checkpoint: its configuration.
        timestep: evaluations below it use the refiner.
    """

    located: Located
    checkpoint: Checkpoint
    timestep: int


def choose_refiner(
    host: PluginHost,
    name: str | None,
    switch: float,
    located: Located,
    checkpoint: Checkpoint,
    size: tuple[int, int],
    access: Access,
) -> Refiner | None:
    """Opens the refiner of a request, where it has one.

    Args:
        host: what is installed.
        name: the refiner, as for a model; None for no refiner.
        switch: share of the noise levels before the refiner's, as diffusers' ``denoising_end``.
        located: where the first checkpoint is.
        checkpoint: its configuration.
        size: width and height in pixels.
        access: how model sources may be reached.

    Raises:
        ModelError: see ``locate``.
        IncompatibleError: the two cannot be used together.
    """
    if name is None:
        return None
    found, second = open_second(host, name, access)
    process = checkpoint.noise.process
    reasons = obstacles(located, checkpoint, found, second, size)
    if (timesteps := process.timesteps) is None:
        reasons.append(f"The model's noise process, {process.kind}, has no timesteps to switch at.")
    for reason in reasons:
        raise IncompatibleError(
            f"{found.name} cannot take over from {located.name}.",
            why=reason,
            remedy="Leave the refiner out, or choose one that was made for this model.",
            field="refiner",
        )
    assert timesteps is not None
    return Refiner(found, second, round(timesteps - switch * timesteps))


@dataclass(frozen=True)
class SwitchToRefiner:
    """Evaluates one network down to a timestep, and the other below it.

    Attributes:
        first: used at ``timestep`` and above.
        second: used below it.
        timestep: on the process's own scale.
    """

    first: Evaluate
    second: Evaluate
    timestep: float

    def __call__(self, query: Query, *branches: Branch) -> tuple[Tensor, ...]:
        """See ``Evaluate``."""
        evaluate = self.first if query.timestep >= self.timestep else self.second
        return evaluate(query, *branches)
