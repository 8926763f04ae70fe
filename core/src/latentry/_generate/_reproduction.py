"""Whether a recipe's picture can be made again here, or why not."""

from __future__ import annotations

from collections.abc import Collection

from latentry._discovery import PluginHost
from latentry._errors import RecipeError
from latentry._files._locate import Located
from latentry._request._given_noise import OwnNoise
from latentry._request._recipe import Recipe
from latentry._resolve._setup import Setup


def check_plugins(recipe: Recipe, host: PluginHost) -> None:
    """Refuses where plugins are missing or of other versions.

    Raises:
        RecipeError: what to install.
    """
    if obstacles := recipe.obstacles(host):
        raise RecipeError(
            "The picture cannot be made again with what is installed.",
            why="\n".join(obstacles),
            remedy="Or go on with --anyway; then the pixels may differ.",
        )


def check_inputs(recipe: Recipe, given: Collection[str], own: OwnNoise) -> None:
    """Refuses where a picture that it began from, or noise that a program gave, is nowhere to be had.

    Args:
        recipe: names files, or none for pictures that a program gave.
        given: names of the pictures that the caller gives anew.
        own: noise that the caller gives anew.

    Raises:
        RecipeError: a picture or noise is missing.
    """
    files = {"init_image": recipe.request.init_image, "mask": recipe.request.mask}
    for name in recipe.inputs:
        if name not in given and files[name] is None:
            raise RecipeError(
                f"The picture was begun from a {name.replace('_', ' ')} that the recipe names no file of.",
                why=f"A program gave it; the sha256 of its pixels is {recipe.inputs[name]}.",
                remedy=f"Give it again, with --{name.replace('_', '-')} or as {name}=.",
            )
    if recipe.latents and own.latents is None:
        raise RecipeError(
            "The picture was begun from start noise that no recipe can hold.",
            why=f"A program gave it; its sha256 is {recipe.latents}.",
            remedy="Give it again from Python, as latents=.",
        )
    if recipe.own_draws and own.draws is None:
        raise RecipeError(
            "The picture was made with a noise source that no recipe can hold.",
            why="A program gave it, in place of noise keyed by the seed.",
            remedy="Give it again from Python, as noise=.",
        )


def check_same(recipe: Recipe, setup: Setup, own: OwnNoise) -> None:
    """Refuses another checkpoint, other LoRAs, and other pictures or noise to begin from.

    Raises:
        RecipeError: which of them.
    """
    _check_files(setup.located, recipe.model)
    if setup.refiner is not None:
        _check_files(setup.refiner.located, recipe.refiner)
    for lora, now, then in zip(setup.loras.requests, setup.loras.digests, recipe.loras, strict=True):
        if now != then:
            raise RecipeError(
                f"The LoRA {lora.path} is not the one the picture was made with.",
                why=f"Its sha256 is {now}, then it was {then}.",
                remedy="Put the old file back, or go on with --anyway; then the picture will differ.",
            )
    for name in dict.fromkeys((*recipe.inputs, *setup.inputs.digests)):
        now, then = setup.inputs.digests.get(name, "none"), recipe.inputs.get(name, "none")
        if now != then:
            raise RecipeError(
                f"The {name.replace('_', ' ')} is not the one the picture was begun from.",
                why=f"The sha256 of its pixels is {now}, then it was {then}.",
                remedy="Put the old one back, or go on with --anyway; then the picture will differ.",
            )
    if (noise := own.digest(recipe.index)) != recipe.latents:
        raise RecipeError(
            "The start noise is not the one the picture was begun from.",
            why=f"Its sha256 is {noise or 'none'}, then it was {recipe.latents or 'none'}.",
            remedy="Give the old one, or go on with anyway=True; then the picture will differ.",
        )


def _check_files(located: Located, then: str) -> None:
    if (now := located.fingerprint) == then:
        return
    files = located.files
    paths = [*(path for _, path in files.parts), *([files.config] if files.config else [])]
    beside = f", together with {', '.join(map(str, paths))}," if paths else ""
    raise RecipeError(
        f"The checkpoint at {files.path}{beside} is not the one the picture was made with.",
        why=f"Its fingerprint is {now}, the picture's {then}.",
        remedy="Put the old files back, or go on with --anyway; then the picture will differ.",
    )
