"""Two networks on one way: a refiner takes over where little noise is left."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from latentry._contract._model import Checkpoint, OpenCheckpoint
from latentry._discovery import PluginHost
from latentry._errors import IncompatibleError
from latentry._files._find import Access
from latentry._files._locate import Located, locate
from latentry._guidance._evaluate import Branch, Evaluate
from latentry._numerics._processes._point import Query
from latentry._request._generation_request import GenerationRequest


@dataclass(frozen=True)
class Refiner:
    """The second network of a request.

    Attributes:
        located: where its checkpoint is.
        checkpoint: its configuration.
        timestep: evaluations below it are the refiner's.
    """

    located: Located
    checkpoint: Checkpoint
    timestep: int


def choose_refiner(
    host: PluginHost,
    request: GenerationRequest,
    located: Located,
    checkpoint: Checkpoint,
    size: tuple[int, int],
    access: Access,
) -> Refiner | None:
    """The refiner of a request, where it has one; ``switch`` becomes a timestep as diffusers' ``denoising_end`` does.

    Args:
        host: what is installed.
        request: what is wanted.
        located: where the first checkpoint is.
        checkpoint: its configuration.
        size: width and height in pixels.
        access: how the hub may be asked.

    Raises:
        ModelError: see ``locate``.
        IncompatibleError: the two are no pair.
    """
    if request.refiner is None:
        return None
    found = locate(host, request.refiner, None, access=replace(access, revision=None))
    open_checkpoint: OpenCheckpoint = host.families.load(found.family)
    second = open_checkpoint(found.files, found.variant.name)
    timesteps = checkpoint.noise.process.timesteps
    for reason in _obstacles(located, checkpoint, found, second, size):
        raise IncompatibleError(
            f"{found.name} cannot take over from {located.name}.",
            why=reason,
            remedy="Leave --refiner out, or choose one that was made for this model.",
        )
    assert timesteps is not None
    return Refiner(found, second, round(timesteps - request.switch * timesteps))


def _obstacles(
    located: Located, checkpoint: Checkpoint, found: Located, second: Checkpoint, size: tuple[int, int]
) -> list[str]:
    one, other = checkpoint.noise, second.noise
    reasons = []
    if located.family != found.family:
        reasons.append(f"It is of the family {found.family}, and the model of {located.family}.")
    if (shape := second.latent_shape(*size)) != (own := checkpoint.latent_shape(*size)):
        reasons.append(f"Its latents have the shape {shape}, and the model's {own}.")
    if (one.process, one.prediction) != (other.process, other.prediction):
        reasons.append("Noise process or prediction type differ.")
    if one.process.timesteps is None:
        reasons.append(f"The model's noise process, {one.process.kind}, has no timesteps to switch at.")
    if located.variant.guidance_kind != found.variant.guidance_kind:
        reasons.append(f"Its guidance is {found.variant.guidance_kind}, the model's {located.variant.guidance_kind}.")
    if "inpainting" in located.variant.tasks or "inpainting" in found.variant.tasks:
        reasons.append("An inpainting network is shown the mask as well, and the other network is not.")
    return reasons


@dataclass(frozen=True)
class Relay:
    """Asks the one network down to a timestep, and the other below it.

    Attributes:
        first: asked at ``timestep`` and above.
        second: asked below.
        timestep: in the process's own clock.
    """

    first: Evaluate
    second: Evaluate
    timestep: float

    def __call__(self, query: Query, *branches: Branch) -> tuple[Tensor, ...]:
        """See ``Evaluate``."""
        evaluate = self.first if query.timestep >= self.timestep else self.second
        return evaluate(query, *branches)
