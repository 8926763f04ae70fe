"""Everything a request leaves open, decided before any weight is loaded."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import torch

from latentry._discovery import PluginHost, Registry
from latentry._discovery._installed import core_version
from latentry._engine._choice import NATIVE, choose_attention, choose_scheduler, choose_sigmas, lay_out
from latentry._engine._device import choose_device, choose_dtype
from latentry._engine._locate import Located, fingerprint, locate
from latentry._engine._model import Checkpoint, OpenCheckpoint
from latentry._engine._recipe import UNVERSIONED, Ingredient, Recipe
from latentry._engine._request import GenerationRequest
from latentry._numerics._plan import Plan


@dataclass(frozen=True)
class Setup:
    """A request with nothing left to decide.

    Attributes:
        request: the request with every choice filled in.
        located: where the checkpoint is.
        checkpoint: its configuration.
        plan: the scheduler on its grid.
        latent_shape: (channels, height, width) of one latent.
        device: where the networks are to run.
        dtype: what they are to run in.
        plugins: the plugins that take part, by role.
        notes: what the person who asked should know, one sentence each.
    """

    request: GenerationRequest
    located: Located
    checkpoint: Checkpoint
    plan: Plan
    latent_shape: tuple[int, int, int]
    device: torch.device
    dtype: torch.dtype
    plugins: dict[str, Ingredient]
    notes: tuple[str, ...] = ()

    def recipe(self, index: int) -> Recipe:
        """The recipe of one picture."""
        where = {"torch": torch.__version__, "device": self.device.type, "dtype": str(self.dtype).split(".")[-1]}
        return Recipe(
            request=self.request,
            index=index,
            plugins=self.plugins,
            core=core_version() or UNVERSIONED,
            model=fingerprint(self.located.path),
            environment=where,
        )


def prepare(host: PluginHost, request: GenerationRequest) -> Setup:
    """Decides what the request leaves open; everything that does not fit is refused here, in one error."""
    located = locate(host, request.model, request.variant)
    scheduler = choose_scheduler(host, request, located)
    open_checkpoint: OpenCheckpoint = host.families.load(located.family)
    checkpoint = open_checkpoint(located.path, located.variant.name)
    device = choose_device(request.device)
    dtype = choose_dtype(request.dtype, device)
    steps = _steps(request, located)
    sigmas = choose_sigmas(host, request, checkpoint.noise, scheduler, steps)
    plan = lay_out(scheduler, sigmas, checkpoint.noise, steps)
    attention = choose_attention(host, request.attention, device.type, str(dtype).split(".")[-1])
    width, height = request.width or checkpoint.size, request.height or checkpoint.size
    decided = {
        "model": located.name,
        "variant": located.variant.name,
        "scheduler": scheduler.name,
        "scheduler_options": scheduler.scheduler.model_dump(),
        "sigmas": request.sigmas if sigmas.name is None else sigmas.name,
        "sigma_options": {} if sigmas.name is None else sigmas.schedule.model_dump(),
        "final": sigmas.final,
        "steps": len(plan),
        "guidance": _guidance(request, located),
        "seed": secrets.randbelow(2**32) if request.seed is None else request.seed,
        "width": width,
        "height": height,
        "dtype": str(dtype).split(".")[-1],
        "attention": attention or NATIVE,
    }
    roles: list[tuple[str, Registry[Any], str | None]] = [
        ("scheduler", host.schedulers, scheduler.name),
        ("sigmas", host.sigma_schedules, sigmas.name),
        ("family", host.families, located.family),
        ("attention", host.attention_backends, attention),
        ("checkpoint", host.checkpoints, located.name if located.checkpoint else None),
    ]
    return Setup(
        request=request.model_copy(update=decided),
        located=located,
        checkpoint=checkpoint,
        plan=plan,
        latent_shape=checkpoint.latent_shape(width, height),
        device=device,
        dtype=dtype,
        plugins={role: _ingredient(registry, name) for role, registry, name in roles if name is not None},
        notes=scheduler.notes,
    )


def _steps(request: GenerationRequest, located: Located) -> int:
    if isinstance(request.sigmas, tuple):
        return len(request.sigmas) if request.steps is None else request.steps
    return located.variant.steps if request.steps is None else request.steps


def _guidance(request: GenerationRequest, located: Located) -> float:
    if request.guidance is not None:
        return request.guidance
    own = located.checkpoint.guidance if located.checkpoint else None
    return located.variant.guidance if own is None else own


def _ingredient(registry: Registry[Any], name: str) -> Ingredient:
    owner = registry.provenance(name)
    return Ingredient(
        name=registry.qualified(name),
        distribution=owner.distribution,
        version=owner.version or UNVERSIONED,
        revision=getattr(registry[name], "revision", None),
    )
