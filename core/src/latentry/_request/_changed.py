"""A recipe with some fields of its request changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latentry._request._recipe import Recipe

DEPENDENT = {
    "scheduler": ("scheduler_options", "sigmas", "sigma_options", "final", "plan"),
    "sigmas": ("sigma_options", "final", "plan"),
    "steps": ("plan", "upscale_steps"),
    "denoise_tile": ("denoise_overlap",),
    "guidance_method": ("guidance_options",),
    "attention": ("attention_options",),
    "model": (),
}
"""Fields that were decided for the old value of another, and are decided anew with it."""
ROLES = {
    "scheduler": ("scheduler", "sigmas"),
    "sigmas": ("sigmas",),
    "attention": ("attention",),
    "controls": ("conditioner",),
}
"""Plugins that a changed field lets go, by role; a role can be followed by a number."""


def changed_fields(recipe: Recipe, given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a recipe's request with others in their place; what depends on those is left open."""
    open_again = {name for changed in given for name in DEPENDENT.get(changed, ())}
    fields = {name: value for name, value in recipe.request.model_dump().items() if name not in open_again}
    given = dict(given)
    if "steps" in given and isinstance(fields.get("sigmas"), tuple):
        del fields["sigmas"]  # levels of one's own are for another number of steps
    if "prompt" in given and not isinstance(recipe.request.prompt, str):
        given["prompt"] = (given["prompt"],) * len(recipe.request.prompt)  # the picture keeps its place
    return fields | given


def kept_plugins(recipe: Recipe, given: Mapping[str, Any]) -> dict[str, Any]:
    """The plugins that still take part."""
    gone = {role for changed in given for role in ROLES.get(changed, ())}
    return {role: used for role, used in recipe.plugins.items() if role.partition(" ")[0] not in gone}
