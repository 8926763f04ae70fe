"""A second network that takes over for the last steps."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from latentry._contract._model import Checkpoint, OpenCheckpoint
from latentry._discovery import PluginHost
from latentry._errors import IncompatibleError
from latentry._files._access import Access
from latentry._files._locate import Located, locate
from latentry._guidance._evaluate import Branch, Evaluate
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
    found = locate(host, name, None, access=access)
    open_checkpoint: OpenCheckpoint = host.families.load(found.family)
    with host.families.calling(found.family):
        second = open_checkpoint(found.files, found.variant.name)
    timesteps = checkpoint.noise.process.timesteps
    for reason in _obstacles(located, checkpoint, found, second, size):
        raise IncompatibleError(
            f"{found.name} cannot take over from {located.name}.",
            why=reason,
            remedy="Leave the refiner out, or choose one that was made for this model.",
            field="refiner",
        )
    assert timesteps is not None
    return Refiner(found, second, round(timesteps - switch * timesteps))


def _obstacles(
    located: Located, checkpoint: Checkpoint, found: Located, second: Checkpoint, size: tuple[int, int]
) -> list[str]:
    one, other = checkpoint.noise, second.noise
    reasons = []
    if located.family != found.family:
        reasons.append(f"Its family is {found.family}, the model's is {located.family}.")
    if (shape := second.latent_shape(*size)) != (own := checkpoint.latent_shape(*size)):
        reasons.append(f"Its latents have the shape {shape}, the model's have {own}.")
    if (one.process, one.prediction) != (other.process, other.prediction):
        reasons.append("Its noise process or its prediction type differs.")
    if one.process.timesteps is None:
        reasons.append(f"The model's noise process, {one.process.kind}, has no timesteps to switch at.")
    if located.variant.guidance_kind != found.variant.guidance_kind:
        reasons.append(
            f"Its guidance is {found.variant.guidance_kind}, the model's is {located.variant.guidance_kind}."
        )
    if "inpainting" in located.variant.tasks or "inpainting" in found.variant.tasks:
        reasons.append("An inpainting network takes the mask as an input, and the other network does not.")
    return reasons


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
