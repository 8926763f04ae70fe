"""Checks whether the picture of a recipe can be made again here."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

from latentry._discovery import PluginHost
from latentry._errors import RecipeDiffers, RecipeError
from latentry._files._finding._locate import Located
from latentry._numerics._solvers._guard import LATER
from latentry._request._generation_request import GenerationRequest
from latentry._request._given_noise import GivenNoise
from latentry._request._recipe import REVISION, Recipe
from latentry._request._values._strength import count_steps
from latentry._resolve._setup import Setup

ANYWAY = "continue anyway"
"""``Engine.reproduce(anyway=True)``; the command line says how it is typed."""


STEPS_LATER = ("fitted", "steady")
"""Options of steps that came after the guard; recipes from before have the values False."""


def check_plugins(recipe: Recipe, host: PluginHost) -> None:
    """Refuses a recipe whose plugins are missing or have other versions here.

    Raises:
        RecipeError: what to install.
    """
    if obstacles := recipe.obstacles(host):
        raise RecipeDiffers(
            "The picture cannot be made again with what is installed.",
            why="\n".join(obstacles),
            remedy=f"Or {ANYWAY}; then the pixels may differ.",
        )


def with_options_of_its_time(recipe: Recipe, host: PluginHost) -> Recipe:
    """The recipe with the guard of its time, so that it draws as it did then: none if its scheduler had none yet
    (``SchedulerSpec.guard_since``), and without what guards and steps learned later if its options do not name that.
    """
    used = recipe.plugins.get("scheduler")
    if used is None or used.revision is None or used.name not in host.schedulers:
        return recipe
    since, options = host.schedulers[used.name].guard_since, recipe.request.scheduler_options
    if since is None or used.revision < since - 1:
        return recipe
    known = host.schedulers.load(used.name).model_fields
    # a recipe names every option that there was
    later = (*STEPS_LATER, *LATER) if options.get("guard") else STEPS_LATER
    options = {name: False for name in later if name in known and name not in options} | options
    if used.revision >= since:
        if options == recipe.request.scheduler_options:
            return recipe
        return recipe.model_copy(update={"request": recipe.request.model_copy(update={"scheduler_options": options})})
    options = {"guard": False, **options}
    request = recipe.request.model_copy(update={"scheduler_options": options})
    plugins = {**recipe.plugins, "scheduler": used.model_copy(update={"revision": since})}
    return recipe.model_copy(update={"request": request, "plugins": plugins})


def with_its_weights(request: GenerationRequest) -> GenerationRequest:
    """The request of a recipe with its weights as they were: whole, if it is of a time before there was a choice."""
    return request if request.weights else request.model_copy(update={"weights": "plain"})


class Change(NamedTuple):
    """A change in what the engine draws, since a revision.

    Attributes:
        revision: the first that draws the new way.
        affects: whether it changes the picture of a recipe, given the setup that makes it again.
        what: one sentence.
    """

    revision: int
    affects: Callable[[Recipe, Setup], bool]
    what: str


def _has_mask(recipe: Recipe, setup: Setup) -> bool:
    return setup.inputs.mask is not None


def _counts_differently(recipe: Recipe, setup: Setup) -> bool:
    """Revision 1 multiplied and divided doubles."""
    steps, strength = setup.request.steps, setup.request.strength
    if strength is None or steps is None:
        return False
    if setup.request.strength_mode == "full":
        return int(steps / strength) != count_steps(steps, strength, "full").laid_out
    return int(steps * strength) != len(setup.plan)


def _is_cropped(recipe: Recipe, setup: Setup) -> bool:
    return any(" and cropped from " in note for note in setup.notes)


CHANGES = (
    Change(2, _has_mask, "What the mask keeps is put back after decoding, and inpainting networks are blended."),
    Change(2, _counts_differently, "The steps of a strength are counted in decimals, here one more or less."),
    Change(2, _is_cropped, "A picture of other proportions is cropped instead of stretched."),
)


def check_revision(recipe: Recipe, setup: Setup) -> None:
    """Refuses a recipe from which this version draws another picture.

    Raises:
        RecipeError: what has changed.
    """
    found = [each.what for each in CHANGES if recipe.revision < each.revision and each.affects(recipe, setup)]
    if found:
        raise RecipeDiffers(
            "This version of Latentry draws another picture from that recipe.",
            why="\n".join(found),
            remedy=f"Install the version that made it, {recipe.core}, or {ANYWAY}.",
        )
    if recipe.revision > REVISION:
        raise RecipeDiffers(
            "The picture was made by a newer version of Latentry.",
            why=f"The revision of its recipe is {recipe.revision}; this version knows {REVISION}.",
            remedy=f"Upgrade Latentry, or {ANYWAY}; then the picture may differ.",
        )


def check_inputs(recipe: Recipe, given: Collection[str], noise: GivenNoise) -> None:
    """Refuses a recipe whose input pictures or noise were given by a program, and are not given again.

    Args:
        recipe: it names files, but not for pictures that a program gave.
        given: names of the pictures that the caller gives again.
        noise: what the caller gives again.

    Raises:
        RecipeError: which one is missing.
    """
    files = {"init_image": recipe.request.init_image, "mask": recipe.request.mask}
    for name in recipe.inputs:
        if name not in given and name in files and files[name] is None:
            raise RecipeError(
                f"The recipe does not name a file for the {name.replace('_', ' ')} that the picture started from.",
                why=f"A program gave it; the sha256 of its pixels is {recipe.inputs[name]}.",
                remedy="Give it again.",
                field=name,
            )
    if recipe.latents and noise.latents is None:
        raise RecipeError(
            "The picture started from initial noise that a program gave.",
            why=f"A recipe cannot hold it; its sha256 is {recipe.latents}.",
            remedy="Give it again from Python, as latents=.",
        )
    if recipe.own_draws and noise.draws is None:
        raise RecipeError(
            "The picture was made with a noise source that a program gave.",
            why="A recipe cannot hold it.",
            remedy="Give it again from Python, as noise=.",
        )


def check_same(recipe: Recipe, setup: Setup, noise: GivenNoise) -> None:
    """Refuses a setup whose checkpoint, LoRAs, input pictures or noise differ from the recipe's.

    Raises:
        RecipeError: which of them.
    """
    _check_files(setup.located, recipe.model)
    if setup.refiner is not None:
        _check_files(setup.refiner.located, recipe.refiner)
    if setup.weak is not None:
        _check_files(setup.weak.located, recipe.weak)
    for lora, now, then in zip(setup.loras.requests, setup.loras.digests, recipe.loras, strict=True):
        if now != then:
            raise RecipeDiffers(
                f"The LoRA {lora.path} is not the one that the picture was made with.",
                why=f"Its sha256 is {now}; it was {then}.",
                remedy=f"Restore the old file, or {ANYWAY}; then the picture will differ.",
            )
    for embedding, then in zip(setup.embeddings.embeddings, recipe.embeddings, strict=True):
        if embedding.digest != then:
            raise RecipeDiffers(
                f"The embedding {embedding.path} is not the one that the picture was made with.",
                why=f"Its sha256 is {embedding.digest}; it was {then}.",
                remedy=f"Restore the old file, or {ANYWAY}; then the picture will differ.",
                field="embeddings",
            )
    _check_controls(recipe, setup)
    if (now := setup.plan_digest) != recipe.plan:
        raise RecipeDiffers(
            f"The plan file {setup.request.plan} is not the one that the picture was made with.",
            why=f"The sha256 of its numbers is {now or 'none'}; it was {recipe.plan or 'none'}.",
            remedy=f"Restore the old file, or {ANYWAY}; then the picture will differ.",
            field="plan",
        )
    for name in dict.fromkeys((*recipe.inputs, *setup.inputs.digests)):
        now, then = setup.inputs.digests.get(name, "none"), recipe.inputs.get(name, "none")
        if now != then:
            raise RecipeDiffers(
                f"The {name.replace('_', ' ')} is not the one that the picture started from.",
                why=f"The sha256 of its pixels is {now}; it was {then}.",
                remedy=f"Restore the old one, or {ANYWAY}; then the picture will differ.",
                field=name,
            )
    if (now := noise.digest(recipe.index)) != recipe.latents:
        raise RecipeDiffers(
            "The initial noise is not the one that the picture started from.",
            why=f"Its sha256 is {now or 'none'}; it was {recipe.latents or 'none'}.",
            remedy=f"Give the old one, or {ANYWAY}; then the picture will differ.",
        )


def _check_controls(recipe: Recipe, setup: Setup) -> None:
    pairs = zip(setup.controls, setup.control_digests, recipe.controls, strict=True)
    for control, now_sums, then_sums in pairs:
        asked = control.request
        named = (asked.model, asked.picture, asked.mask)  # sha256 is None where there is no mask
        for what, now, before in zip(named, now_sums, then_sums, strict=False):
            if now != before:
                raise RecipeDiffers(
                    f"{what} is not the one that the picture was steered by.",
                    why=f"Its digest is {now}; it was {before}.",
                    remedy=f"Restore the old file, or {ANYWAY}; then the picture will differ.",
                    field="controls",
                )


def _check_files(located: Located, then: str) -> None:
    if (now := located.fingerprint) == then:
        return
    files = located.files
    paths = [*(path for _, path in files.parts), *([files.config] if files.config else [])]
    others = f", together with {', '.join(map(str, paths))}," if paths else ""
    raise RecipeDiffers(
        f"The checkpoint at {files.path}{others} is not the one that the picture was made with.",
        why=f"Its fingerprint is {now}; it was {then}.",
        remedy=f"Restore the old files, or {ANYWAY}; then the picture will differ.",
    )
