"""A request with nothing left to decide."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace

import torch
from pydantic import BaseModel

from latentry._contract._conditioning import PromptSettings
from latentry._contract._lora import ChosenLoras
from latentry._contract._model import Checkpoint
from latentry._discovery._installed import core_version
from latentry._files._locate import Located
from latentry._guidance._guidance import Guidance
from latentry._guidance._refiner import Refiner
from latentry._numerics._plan import Plan
from latentry._request._generation_request import GenerationRequest
from latentry._request._given_noise import OwnNoise
from latentry._request._recipe import UNVERSIONED, Ingredient, Recipe
from latentry._resolve._inputs import Inputs
from latentry._resolve._memory import Memory


@dataclass(frozen=True)
class Setup:
    """A request with nothing left to decide.

    Attributes:
        request: the request with every choice filled in.
        located: where the checkpoint is.
        checkpoint: its configuration.
        plan: the scheduler on the steps that are taken.
        guidance: makes one output of the network's several.
        conditioning: the family's own options of prompts.
        refiner: the network that takes over, where there is one.
        loras: what changes the model, the refiner not.
        inputs: the pictures it begins from, at the size of the result.
        latent_shape: (channels, height, width) of one latent.
        device: where the networks are to run.
        dtype: what they are to run in.
        memory: what of them is on the device while they are not used, and how they are saved memory otherwise.
        plugins: the plugins that take part, by role.
        notes: what the person who asked should know, one sentence each.
    """

    request: GenerationRequest
    located: Located
    checkpoint: Checkpoint
    plan: Plan
    guidance: Guidance
    conditioning: BaseModel | None
    refiner: Refiner | None
    loras: ChosenLoras
    inputs: Inputs
    latent_shape: tuple[int, int, int]
    device: torch.device
    dtype: torch.dtype
    memory: Memory
    plugins: dict[str, Ingredient]
    notes: tuple[str, ...] = ()

    @property
    def attention(self) -> Hashable:
        """What serves the networks' attention; equal where that is the same."""
        return self.request.attention, repr(sorted(self.request.attention_options.items()))

    @property
    def serving(self) -> Hashable:
        """All that is set on the networks for as long as they are used; equal where that is the same."""
        return self.attention, self.memory.tile, self.memory.slicing

    @property
    def home(self) -> torch.device:
        """Where the networks are while they are not used."""
        return self.device if self.memory.policy.offload == "none" else torch.device("cpu")

    @property
    def networks(self) -> dict[tuple[Hashable, ...], Checkpoint]:
        """The checkpoints to be loaded, the refiner's last, each by what tells it from others in memory."""
        pairs = [(self.located, self.checkpoint)]
        pairs += [(self.refiner.located, self.refiner.checkpoint)] if self.refiner else []
        where = (self.home, self.dtype, frozenset(self.memory.dtypes.items()))
        return {(located.files, located.variant.name, *where): checkpoint for located, checkpoint in pairs}

    def prompt_settings(self, *, negative: bool) -> PromptSettings:
        """What prompts are encoded with, besides their words."""
        request = self.request
        assert request.width is not None
        assert request.height is not None
        told = request.guidance if self.located.variant.guidance_kind == "distilled" else None
        return PromptSettings(request.width, request.height, negative, guidance=told, own=self.conditioning)

    def again(self, recipe: Recipe) -> Setup:
        """The same for a picture that is made again: its plugins were taken for the reasons of then."""
        reasons = {role: used.why for role, used in recipe.plugins.items()}
        plugins = {role: used.model_copy(update={"why": reasons.get(role, "")}) for role, used in self.plugins.items()}
        return replace(self, plugins=plugins)

    def recipe(self, index: int, own: OwnNoise) -> Recipe:
        """The recipe of one picture."""
        where = {"torch": torch.__version__, "device": self.device.type, "dtype": str(self.dtype).split(".")[-1]}
        return Recipe(
            request=self.request,
            index=index,
            plugins=self.plugins,
            core=core_version() or UNVERSIONED,
            model=self.located.fingerprint,
            environment=where,
            inputs=self.inputs.digests,
            latents=own.digest(index),
            own_draws=own.draws is not None,
            loras=self.loras.digests,
            refiner=self.refiner.located.fingerprint if self.refiner else "",
        )
