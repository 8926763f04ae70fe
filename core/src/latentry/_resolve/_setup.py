"""A request with nothing left to decide."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace

import torch
from pydantic import BaseModel

from latentry._contract._caching._step_cache import StepCache
from latentry._contract._conditioner import ConditionerCheckpoint
from latentry._contract._conditioning import PromptSettings
from latentry._contract._curve import Curve
from latentry._contract._lora import ChosenLoras
from latentry._contract._model import Checkpoint
from latentry._files._finding._locate import Located
from latentry._files._fingerprint import Fingerprints
from latentry._guidance._guidance import Guidance
from latentry._guidance._second_models._refiner import Refiner
from latentry._guidance._second_models._weak_model import WeakModel
from latentry._guidance._tiles import Tiles
from latentry._numerics._plan import Plan
from latentry._request._generation_request import GenerationRequest
from latentry._request._given_noise import GivenNoise
from latentry._request._recipe import REVISION, UNVERSIONED, Recipe, UsedPlugin
from latentry._resolve._added._controls import ChosenControl
from latentry._resolve._added._embeddings import ChosenEmbeddings
from latentry._resolve._memory import ChosenMemory
from latentry._resolve._shown._inputs import Inputs


@dataclass(frozen=True)
class Setup:
    """A request with nothing left to decide.

    Attributes:
        request: the request with every choice filled in.
        located: where the checkpoint is.
        checkpoint: its configuration.
        plan: the scheduler on the steps that are taken.
        guidance: combines the network's outputs into one.
        conditioning: the family's own options for encoding prompts.
        refiner: the network that takes over for the last steps, where there is one.
        weak: the network that guidance leads away from, where there is one.
        loras: they change the model, not the refiner or the weak one.
        controls: they steer the model, not the refiner or the weak one.
        embeddings: learnt words of its prompts.
        inputs: the pictures it begins from, at the size of the result.
        latent_shape: (channels, height, width) of one latent.
        device: where the networks run.
        dtype: what they run in.
        memory: how they are kept in memory.
        plugins: the plugins that take part, by role.
        core: the core's version; empty where it was never installed.
        injection_points: of the model's family; see ``ModelFamilySpec``.
        notes: what to tell the user, one sentence each.
        fingerprints: of files; those that an engine keeps between requests.
        plan_digest: sha256 of the plan file's numbers, where there is one.
        tiles: the parts in which samples go through the network; None: whole.
        step_cache: at which evaluations a part of the network is left out; None: never.
        larger: the second pass of a request with ``upscale``, which begins from what the first one drew.
        float32_autoencoder: the autoencoder runs in float32 because it overflowed in its own dtype.
    """

    request: GenerationRequest
    located: Located
    checkpoint: Checkpoint
    plan: Plan
    guidance: Guidance
    conditioning: BaseModel | None
    refiner: Refiner | None
    weak: WeakModel | None
    loras: ChosenLoras
    inputs: Inputs
    latent_shape: tuple[int, int, int]
    device: torch.device
    dtype: torch.dtype
    memory: ChosenMemory
    plugins: dict[str, UsedPlugin]
    core: str
    controls: tuple[ChosenControl, ...] = ()
    embeddings: ChosenEmbeddings = ChosenEmbeddings()  # noqa: RUF009 - it is frozen
    injection_points: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    fingerprints: Fingerprints = field(default_factory=Fingerprints)
    plan_digest: str = ""
    tiles: Tiles | None = None
    step_cache: StepCache | None = None
    larger: Setup | None = None
    float32_autoencoder: bool = False

    @property
    def attention(self) -> Hashable:
        """Equal for setups whose attention is computed the same way."""
        return self.request.attention, repr(sorted(self.request.attention_options.items()))

    @property
    def serving(self) -> Hashable:
        """Equal for setups that can use the networks at the same time."""
        memory = self.memory
        return self.attention, memory.tile, memory.slicing, memory.capture, self.request.fast, self.float32_autoencoder

    def worn(self, *, shared: bool) -> ChosenLoras:
        """The LoRAs as they are set on the model: in shared passes without weights, which then come with each row.

        Graphs of a network hold the weights of its LoRAs: those that were asked for come before sharing.
        """
        return self.loras.opened if shared and self.memory.capture in ("off", "auto") else self.loras

    @property
    def home(self) -> torch.device:
        """Where the networks are while they are not used."""
        return self.device if self.memory.policy.offload == "none" else torch.device("cpu")

    @property
    def networks(self) -> dict[tuple[Hashable, ...], Checkpoint]:
        """The checkpoints to load, first the model's, then the refiner's, then the weak one's.

        Their keys are equal for the same networks in memory.
        """
        pairs = [(self.located, self.checkpoint)]
        pairs += [(other.located, other.checkpoint) for other in (self.refiner, self.weak) if other]
        return {self._key(located): checkpoint for located, checkpoint in pairs}

    @property
    def names(self) -> dict[tuple[Hashable, ...], str]:
        """What the checkpoints are called, by the keys of ``networks``."""
        others = [other.located for other in (self.weak, self.refiner) if other]
        return {self._key(located): located.name for located in (*others, self.located)}

    def _key(self, located: Located) -> tuple[Hashable, ...]:
        where = (self.home, self.dtype, frozenset(self.memory.dtypes.items()), self.memory.weights)
        return (located.files, located.variant.name, *where)

    @property
    def one_by_one(self) -> bool:
        """Whether pictures are sampled one at a time, because their own values decide what is evaluated."""
        return self.plan.scheduler.adaptive or (self.step_cache is not None and self.step_cache.by_change)

    @property
    def steps(self) -> int:
        """How many steps a batch takes, in all passes."""
        return len(self.plan) + (self.larger.steps if self.larger else 0)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the pictures."""
        assert self.request.width is not None
        assert self.request.height is not None
        return self.request.width, self.request.height

    @property
    def conditioners(self) -> tuple[tuple[Hashable, ConditionerCheckpoint], ...]:
        """The one to load for each control, after a key that is equal for the same networks in memory."""
        where = (self.home, self.dtype, self.located.files)
        found = [control.found for control in self.controls]
        return tuple(((each.kind, each.files, *where), each.checkpoint) for each in found)

    @property
    def control_digests(self) -> tuple[tuple[str, str] | tuple[str, str, str], ...]:
        """For each control the fingerprint of its conditioner's files, and sha256 of its picture and of its mask."""
        return tuple((self.fingerprints(each.found.files), *each.digests) for each in self.controls)

    def prompt_settings(self, *, negative: bool) -> PromptSettings:
        """What an encoded prompt depends on besides its text."""
        request = self.request
        guidance = request.guidance if self.located.variant.guidance_kind == "distilled" else None
        if isinstance(guidance, Curve):
            guidance = guidance.first  # the rest is told at each evaluation
        return PromptSettings(
            *(self.tiles.shown if self.tiles else self.size),
            negative,
            guidance=guidance,
            own=self.conditioning,
            references=self.inputs.references,
            embeddings=self.embeddings.embeddings,
        )

    def again(self, recipe: Recipe) -> Setup:
        """The setup of a picture that is made again; its plugins keep the reasons for which they were taken then."""
        reasons = {role: used.why for role, used in recipe.plugins.items()}
        plugins = {role: used.model_copy(update={"why": reasons.get(role, "")}) for role, used in self.plugins.items()}
        return replace(self, plugins=plugins)

    def recipe(self, index: int = 0, given: GivenNoise = GivenNoise()) -> Recipe:  # noqa: B008 - it is frozen
        """The recipe of one picture, also of a run of ``plan`` that a host drove itself, see ``Engine.network``.

        Args:
            index: which picture of the request.
            given: noise in place of what the engine draws; nothing where the run began with ``GuidedNetwork.noise``.
        """
        where = {"torch": torch.__version__, "device": self.device.type, "dtype": str(self.dtype).split(".")[-1]}
        return Recipe(
            request=self.request,
            index=index,
            plugins=self.plugins,
            core=self.core or UNVERSIONED,
            revision=REVISION,
            model=self.fingerprints(self.located.files),
            environment=where,
            inputs=self.inputs.digests,
            latents=given.digest(index),
            own_draws=given.draws is not None,
            loras=self.loras.digests,
            controls=self.control_digests,
            embeddings=self.embeddings.digests,
            plan=self.plan_digest,
            refiner=self.fingerprints(self.refiner.located.files) if self.refiner else "",
            weak=self.fingerprints(self.weak.located.files) if self.weak else "",
        )
