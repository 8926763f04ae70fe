"""What plugins register: small frozen records that import nothing heavy.

A record says what a thing is and can do; its ``target`` (``package.module:attribute``) is imported on first use.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

Found = TypeVar("Found")

API: tuple[int, int] = (1, 0)
"""The contract version: a plugin for another major or a newer minor is left out (``docs/versions.md``)."""

ProcessKind = Literal["vp", "flow", "edm"]
Final = Literal["zero", "table"]
"""Where a run ends: at σ = 0, or at the least noisy level the checkpoint was trained on."""

Task = Literal["text-to-image", "image-to-image", "inpainting"]
GuidanceKind = Literal["classifier-free", "distilled", "none"]
"""How a network is guided: by its output without the prompt, by a scale it takes as an input, or not at all."""

BranchKind = Literal["uncond", "skip-layers", "perturbed-attention", "smoothed-attention", "weak-model"]
"""A way to evaluate a network besides plainly with the prompt: without it, with layers left out, with the picture's
attention to itself changed, to the identity or to that of blurred queries, or by a second, weaker network.
"""

StepCacheKind = Literal["first-block", "taylor", "deep"]
"""What a step cache leaves out: a transformer's blocks after the first, where that has changed little or at fixed
evaluations, or the lower levels of a UNet.
"""

ALL_PROCESSES: frozenset[ProcessKind] = frozenset({"vp", "flow", "edm"})


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What every record has.

    Attributes:
        name: lower case with dashes or underscores; unique among the records of one kind.
        target: ``package.module:attribute``, imported on first use.
        summary: one line for listings.
        aliases: further names; a name beats an alias, colliding aliases resolve to nothing.
        moved_from: distributions that had this record before. ``distribution:name`` of each still resolves, so that old
            recipes and preferences do, unless that distribution registers the name itself.
        citation: the source, e.g. ``Song et al. 2020, arXiv:2010.02502``.
        api: the contract version the record was written for; by default that of the core at hand, so that what the
            distribution requires of ``latentry`` decides alone.
        exemptions: (check, reason) pairs of the conformance suite, shown in listings.
        unlisted: found as ``distribution:name`` alone, and listed where everything is asked for: for many records that
            stand for another program's code.
    """

    name: str
    target: str
    summary: str
    aliases: tuple[str, ...] = ()
    moved_from: tuple[str, ...] = ()
    citation: str = ""
    api: tuple[int, int] = API
    exemptions: tuple[tuple[str, str], ...] = ()
    unlisted: bool = False

    TARGETS: ClassVar[tuple[str, ...]] = ("target",)
    """The fields that are written ``package.module:attribute``; empty ones stand for nothing."""


@dataclass(frozen=True)
class SigmaPreference:
    """A sigma schedule a scheduler is good with, up to a number of steps.

    Attributes:
        name: the sigma schedule, as ``distribution:name``.
        options: its options as (name, value) pairs.
        final: where the run ends.
        max_steps: the preference holds for at most that many steps; None for any number.
        processes: the preference holds on these noise processes.
    """

    name: str
    options: tuple[tuple[str, float | int | str | bool], ...] = ()
    final: Final = "zero"
    max_steps: int | None = None
    processes: frozenset[ProcessKind] = ALL_PROCESSES

    def holds(self, steps: int, kind: ProcessKind) -> bool:
        """Whether it is one for this number of steps on this noise process."""
        return kind in self.processes and (self.max_steps is None or steps <= self.max_steps)


def sigma_preferences(
    *rows: tuple[ProcessKind, int | None, str, Mapping[str, float | int | str | bool]], final: Final = "zero"
) -> tuple[SigmaPreference, ...]:
    """Preferences from a table, best first.

    Args:
        rows: a noise process, the most steps it holds for (None for any number), the sigma schedule as
            ``distribution:name``, and its options.
        final: where the runs end.
    """
    return tuple(
        SigmaPreference(name, tuple(options.items()), final, most, frozenset({kind}))
        for kind, most, name, options in rows
    )


@dataclass(frozen=True, kw_only=True)
class PeerName:
    """What another program calls a scheduler, and under which options, on which sigma schedule, it is that.

    Case, spaces, dashes and underscores make no difference, ``++`` reads ``pp``, and the name of a sigma schedule may
    follow, which then counts in place of ``sigmas``: ``DPM++ 2M Karras`` is found from ``DPM++ 2M``.

    Attributes:
        name: e.g. ``DPM++ 2M``.
        peer: the program, e.g. ``AUTOMATIC1111``.
        others: what else it calls the same there, e.g. ``k_dpmpp_2m``.
        options: (name, value) pairs that make it that.
        sigmas: what it is laid out on there, unless the checkpoint demands another; None where that is asked for apart.
        differs: how results differ from that program's all the same, one sentence; empty where they agree.
    """

    name: str
    peer: str
    others: tuple[str, ...] = ()
    options: tuple[tuple[str, float | int | str | bool], ...] = ()
    sigmas: SigmaPreference | None = None
    differs: str = ""


@dataclass(frozen=True, kw_only=True)
class SchedulerCase:
    """A set of options and what the scheduler is under them; the conformance suite proves each.

    Attributes:
        options: (name, value) pairs that differ from the defaults.
        order: order of convergence under them, weak order where stochastic.
        evaluations: model evaluations a step, at most.
        stochastic: draws noise under them.
    """

    options: tuple[tuple[str, float | int | str | bool], ...]
    order: int
    evaluations: int = 1
    stochastic: bool = False


@dataclass(frozen=True)
class Evidence:
    """How near a scheduler came to the exact result on a trained network, under its defaults.

    ``scripts/evidence.py`` measures it, on the same noises and prompts for all schedulers.

    Attributes:
        process: of the network.
        model: its name.
        guidance: guidance scale.
        errors: (steps, median distance from the exact latents, which have a standard deviation of about 1).
    """

    process: ProcessKind
    model: str
    guidance: float
    errors: tuple[tuple[int, float], ...]


@dataclass(frozen=True, kw_only=True)
class SchedulerSpec(Spec):
    """A sampler and what it can do; decides what fits before any weight is loaded.

    Attributes:
        processes: noise processes it is right on; none for an unlisted record that stands for something else.
        order: order of convergence under the default options (weak order where they are stochastic).
        variable_order: order on grids that are not uniform in the method's own variable, where it is lower.
        evaluations: model evaluations a step, at most; 0 where it is chosen at run time.
        stochastic: draws noise under its default options.
        off_grid: evaluates the model at noise levels that are not boundaries of the grid.
        off_grid_by: the options that make it do so, where its defaults keep to the grid.
        adaptive: chooses its own steps.
        needs: outputs beyond the guided one, e.g. ``uncond``.
        guidance: guidance scale that suits it, None for the model's.
        sigmas: preferred sigma schedules, best first; the first that holds for the steps and the process is used.
        revision: raised whenever results change under unchanged options.
        guard_since: the revision from which on it has the options of ``latentry.solvers.Guarded``; None if it has not.
            Under other programs' names, and in recipes of earlier revisions, its guard is off.
        peers: what other programs call it.
        cases: further sets of options that the conformance suite proves.
        evidence: measurements that the choice ``best`` goes by.
    """

    processes: frozenset[ProcessKind] = ALL_PROCESSES
    order: int = 1
    variable_order: int | None = None
    evaluations: int = 1
    stochastic: bool = False
    off_grid: bool = False
    off_grid_by: tuple[str, ...] = ()
    adaptive: bool = False
    needs: frozenset[str] = frozenset()
    guidance: float | None = None
    sigmas: tuple[SigmaPreference, ...] = (SigmaPreference("latentry:trailing"),)
    revision: int = 1
    guard_since: int | None = None
    peers: tuple[PeerName, ...] = ()
    cases: tuple[SchedulerCase, ...] = ()
    evidence: tuple[Evidence, ...] = ()

    def sigmas_for(self, steps: int, kind: ProcessKind) -> tuple[SigmaPreference, ...]:
        """The preferences that hold for this number of steps on this noise process, best first."""
        return tuple(preference for preference in self.sigmas if preference.holds(steps, kind))


@dataclass(frozen=True, kw_only=True)
class SigmaScheduleSpec(Spec):
    """A rule that places the boundaries of N steps.

    Attributes:
        processes: noise processes on which the rule makes sense.
        variant: whose rule it is, where peers differ under one name.
        revision: raised whenever it places other boundaries under unchanged options.
    """

    processes: frozenset[ProcessKind] = ALL_PROCESSES
    variant: str = ""
    revision: int = 1


@dataclass(frozen=True, kw_only=True)
class VariantSpec:
    """One checkpoint type of a family.

    Attributes:
        name: e.g. ``sd15``.
        summary: one line for listings.
        schedulers: preferred schedulers as ``distribution:name``, best first.
        tasks: what its network can be asked for. ``image-to-image`` brings inpainting by blending along;
            ``inpainting`` is for networks that take the mask themselves.
        size: height and width in pixels it was trained at, where known.
        steps: steps that suit it.
        guidance: guidance scale that suits it.
        guidance_kind: ``distilled`` networks take the scale as an input; ``none`` know no guidance, and their scale
            is 1.
        guidance_method: the method that it was made for, as ``distribution:name``; empty for plain guidance.
        skip_layers: ``Model.predict`` can leave layers out, for skip-layer guidance.
        references: how many pictures its network can be shown beside the prompt.
        least_references: how many of them it cannot do without.
        on_grid: it was distilled to the levels of few steps, and says little at levels between them: schedulers that
            ask there are refused.
    """

    name: str
    summary: str
    schedulers: tuple[str, ...]
    tasks: tuple[Task, ...] = ("text-to-image", "image-to-image")
    size: int | None = None
    steps: int = 25
    guidance: float = 5.0
    guidance_kind: GuidanceKind = "classifier-free"
    guidance_method: str = ""
    skip_layers: bool = False
    references: int = 0
    least_references: int = 0
    on_grid: bool = False


@dataclass(frozen=True, kw_only=True)
class ModelFamilySpec(Spec):
    """An architecture: how to recognise its checkpoints and which variants there are.

    ``target`` is a function ``(files, variant) -> Checkpoint`` that reads configurations, and loads weights on request.

    Attributes:
        detector: ``package.module:function``; the function takes ``ModelFiles`` and gives a ``Detection`` or None, from
            headers and configs alone, without torch.
        variants: the checkpoint types, the most usual first.
        process: the kind of noise process its checkpoints are trained on.
        conditioning: ``package.module:Class``, a frozen pydantic model of what prompts can be encoded with besides
            their words and ``PromptSettings``; empty where there is nothing.
        optional_parts: networks that a checkpoint can do without, by part.
        branches: what else ``Model.predict`` can be asked for: ``perturbed-attention``, ``smoothed-attention``.
        injection_points: the places where tensors can be added to the network's own, as patterns in which ``*`` stands
            for a number, e.g. ``down.*``; empty where ``Model.predict`` takes none. See ``ControlQuery``.
        step_caches: the step caches that ``Model.predict`` takes as ``cache``, see ``latentry.models.CachedPass``.
        converter: ``package.module:function``; the function takes ``ModelFiles``, a variant's name and a
            ``Conversion``, writes the checkpoint in that form, and gives the paths of what it made; empty where there
            is none.
    """

    TARGETS = ("target", "detector", "conditioning", "converter")

    detector: str
    variants: tuple[VariantSpec, ...]
    process: ProcessKind
    conditioning: str = ""
    optional_parts: tuple[str, ...] = ()
    branches: frozenset[BranchKind] = frozenset()
    injection_points: tuple[str, ...] = ()
    step_caches: frozenset[StepCacheKind] = frozenset()
    converter: str = ""


@dataclass(frozen=True, kw_only=True)
class AttentionBackendSpec(Spec):
    """An attention kernel and what it can honour.

    ``target`` is a class with ``probe() -> str | None`` (None: available; else why not) and
    ``attend(q, k, v, *, mask=None, scale=None, causal=False)`` on (batch, heads, tokens, head size). The core never
    asks for what is not declared; what a backend cannot do beyond that, it refuses with an ``IncompatibleError``.

    Attributes:
        devices: device types, e.g. ``cuda``.
        dtypes: dtypes by torch's name, e.g. ``float16``.
        max_head_size: largest head size, None for any.
        head_multiple: the head size must be a multiple of this.
        masks: honours a mask, boolean or added to the scores, and gives 0 where it leaves no key.
        causal: honours causality.
        scales: honours another scale of the scores than 1/√(head size).
        error: how far a quantised result is off, relative to the largest value; 0 where only the dtype rounds. ``auto``
            takes exact ones alone.
        rank: the higher, the sooner ``auto`` takes it.
        extra: what to install for it, e.g. ``latentry-attention-flash[cuda]``.
    """

    devices: frozenset[str]
    dtypes: frozenset[str]
    max_head_size: int | None = None
    head_multiple: int = 1
    masks: bool = True
    causal: bool = True
    scales: bool = True
    error: float = 0.0
    rank: int = 0
    extra: str = ""


@dataclass(frozen=True, kw_only=True)
class GuidanceSpec(Spec):
    """A guidance method: makes one output of several; ``target`` is a ``GuidanceMethod`` class.

    Attributes:
        branches: what it asks for besides the output with the prompt.
        scaled_branches: what it asks for as well unless the guidance scale is 1, which it is for networks that take the
            scale as an input.
        kinds: the kinds of network it is for.
        memory: it keeps something from one evaluation to the next.
        neutral: the guidance scale at which it gives the output with the prompt, so that there is nothing to compute;
            None where no scale does.
        guidance: guidance scale that suits it, None for the checkpoint's or the variant's.
        largest: the largest guidance scale that it takes, None for any.
        revision: raised whenever results change under unchanged options.
    """

    branches: frozenset[BranchKind] = frozenset({"uncond"})
    scaled_branches: frozenset[BranchKind] = frozenset()
    kinds: frozenset[GuidanceKind] = frozenset({"classifier-free"})
    memory: bool = False
    neutral: float | None = 1.0
    guidance: float | None = None
    largest: float | None = None
    revision: int = 1


@dataclass(frozen=True, kw_only=True)
class ConditionerSpec(Spec):
    """Networks that steer a denoiser by a picture, such as ControlNets: how to recognise their files.

    ``target`` is a function ``(files, family, base) -> ConditionerCheckpoint`` that reads configurations, refuses what
    does not fit the model ``base``, and loads weights on request.

    Attributes:
        detector: ``package.module:function``; the function takes ``ModelFiles`` and gives a ``Detection`` or None, from
            headers and configurations alone, without torch. Its ``variants`` are empty where the files are known but
            cannot be used, as its evidence says.
        families: the model families that they steer, as ``distribution:name``.
        options: ``package.module:Class``, a frozen pydantic model of what can be set besides the weight; empty where
            there is nothing.
        whole: they take a picture as it was given, and not at the size of the result.
        own_mask: they confine themselves to a mask; the tensors of others are multiplied by it, which takes tensors
            whose places are those of the picture.
        revision: raised whenever results change under unchanged options.
    """

    TARGETS = ("target", "detector", "options")

    detector: str
    families: tuple[str, ...]
    options: str = ""
    whole: bool = False
    own_mask: bool = False
    revision: int = 1


@dataclass(frozen=True, kw_only=True)
class ControlSpec(Spec):
    """A named network on this machine that steers a model; ``target`` is a function without arguments that gives its
    path.

    Attributes:
        conditioner: what kind of network it is, as ``distribution:name``.
        model: the installed model that it was trained for, as ``distribution:name``; empty for those that are not
            installed by name.
        licence: SPDX identifier of the weights' licence.
    """

    conditioner: str
    licence: str
    model: str = ""


@dataclass(frozen=True, kw_only=True)
class CheckpointSpec(Spec):
    """A named local model; ``target`` is a function without arguments that gives its path.

    Attributes:
        family: the family it belongs to, as ``distribution:name``.
        variant: its variant there.
        size: height and width in pixels it draws best.
        licence: SPDX identifier of the weights' licence.
        guidance: guidance scale that suits it, None for the variant's.
        default: offered where a host asks for no model; among several the first by name is taken.
        measured_grids: the sigma schedules that schedulers prefer were measured on it, and are better than the one it
            was published with.
        plans: ``package.module:function``; the function gives the folder of its tuned plans, which ``--plan tuned``
            chooses from. Empty where there are none.
    """

    TARGETS = ("target", "plans")

    family: str
    variant: str
    size: int
    licence: str
    guidance: float | None = None
    default: bool = False
    measured_grids: bool = False
    plans: str = ""


@dataclass(frozen=True, kw_only=True)
class ModelSourceSpec(Spec):
    """A place outside this machine that models come from; ``target`` is a class that implements ``ModelSource``.

    Attributes:
        names: what its names look like, in words for messages, e.g. ``owner/name of the Example Hub``.
        example: one of its names, with which the conformance suite asks for a model without a network.
    """

    names: str
    example: str = ""


@dataclass(frozen=True, kw_only=True)
class CommandSpec(Spec):
    """A sub-command of ``latentry``; ``target`` is a ``click.Command``.

    Its summary is what ``latentry --help`` prints; the target is imported when the command is run, and finds the
    ``PluginHost`` in its ``ctx.obj``. A name that the core's own commands have cannot be taken.
    """


@dataclass(frozen=True, kw_only=True)
class ExecutorSpec(Spec):
    """Where batches are drawn; ``target`` is a class that implements ``latentry.batches.Executor``."""


PartRole = Literal["vae", "text-encoder", "tokenizer"]


@dataclass(frozen=True)
class ModelFiles:
    """Where a checkpoint lies.

    Attributes:
        path: a folder in diffusers' layout, a file of weights, or the index of a sharded one.
        parts: files or folders in place of its own parts or beside them; several text encoders are told apart by their
            headers.
        config: a diffusers folder whose configurations and tokenizers describe networks of unpublished shape; its
            weights are not read.
        without: optional parts that are left out though they are there.
        found: what was found out about them so far; see ``once``.
    """

    path: Path
    parts: tuple[tuple[PartRole, Path], ...] = ()
    config: Path | None = None
    without: tuple[str, ...] = ()
    found: dict[Hashable, Any] = field(default_factory=dict, repr=False, compare=False)

    def once(self, what: Hashable, find: Callable[[], Found]) -> Found:
        """What ``find`` gives, called the first time that this is asked for.

        The detectors of all families, and the checkpoint that is opened afterwards, are given the same object. Families
        that share code read each header once that way.

        Args:
            what: names the question, the file included.
            find: answers it; what it raises is not kept.
        """
        if what not in self.found:
            self.found[what] = find()
        answer: Found = self.found[what]
        return answer


class FileKind(StrEnum):
    """What files hold, as far as it decides what can be done with them."""

    MODEL = "model"
    LORA = "lora"
    EMBEDDING = "embedding"
    AUTOENCODER = "autoencoder"
    TEXT_ENCODER = "text-encoder"
    OTHER = "other"


@dataclass(frozen=True)
class Detection:
    """A family's answer to "is this yours?".

    Attributes:
        variants: the variants it can be; more than one where headers cannot tell them apart.
        score: 0 to 1; how sure the family is.
        evidence: the observations behind the score, one short sentence each.
        missing: what a complete checkpoint would have and this one lacks; for a file, with what to give for it.
        kind: what the files hold.
        label: the same in words that follow "is", e.g. ``a LoRA for Stable Diffusion XL``.
        prediction: what the network predicts, as a ``Prediction`` value; None where nothing tells.
        dtypes: of the tensors by torch's name, or by GGUF's where values are packed; the one with most bytes first.
        size: bytes of all tensors, where there are files of weights.
        parameters: values of all tensors, where there are files of weights.
        possible: the variants that the shapes do not contradict, any of which a request may name; empty where those are
            ``variants``.
    """

    variants: tuple[str, ...]
    score: float
    evidence: tuple[str, ...] = field(default=())
    missing: tuple[str, ...] = field(default=())
    kind: FileKind = FileKind.MODEL
    label: str = "a model"
    prediction: str | None = None
    dtypes: tuple[str, ...] = ()
    size: int | None = None
    parameters: int | None = None
    possible: tuple[str, ...] = ()
