"""From what was typed for ``latentry generate`` to the fields of a request."""

from __future__ import annotations

from typing import Any

import typer

from latentry._cli._attention import backend_options
from latentry._cli._memory_options import dtypes, tiling
from latentry._cli._values import levels, named_values, numbers, shares, weighted_files
from latentry._errors import OptionError

ANEW = frozenset({"init_image", "mask", "offline"})
"""Fields of a request that may be given anew beside ``--from``."""
OUTPUT_ONLY = frozenset({"output", "source", "anyway", "quiet", "as_json", "offload", "blocks_per_group"})
"""Options that are no part of a request."""


def request_fields(context: typer.Context) -> dict[str, Any]:
    """What was typed, as the request has it; what was not is left to its defaults."""
    given = {name: value for name, value in context.params.items() if name not in OUTPUT_ONLY}
    given |= {
        "text_encoders": tuple(given["text_encoders"] or ()),
        "scheduler_options": named_values("--set", given["scheduler_options"]),
        "sigma_options": named_values("--sigma-set", given["sigma_options"]),
        "conditioning": named_values("--condition", given["conditioning"]),
        "attention_options": backend_options(given["attention"], given["attention_options"]),
        "sigmas": levels(given["sigmas"]),
        "guidance_interval": shares("--guidance-interval", given["guidance_interval"]),
        "skip_layers": numbers("--skip-layers", given["skip_layers"]),
        "loras": weighted_files(given["loras"]),
        "skip_layer_interval": shares("--skip-layer-interval", given["skip_layer_interval"]),
    }
    given |= {"dtype": None, **dtypes(given["dtype"])}
    given |= {"without": tuple(given["without"] or ()), "vae_tiling": tiling(given["vae_tiling"])}
    given["vae_slicing"] = given["vae_slicing"] or None
    return {name: value for name, value in given.items() if value is not None}


def given_anew(context: typer.Context) -> dict[str, Any]:
    """What was typed beside ``--from``, as the request has it.

    Raises:
        OptionError: something that the picture says itself.
    """
    typed = [name for name in context.params if _source(context, name) == "COMMANDLINE" and name not in OUTPUT_ONLY]
    if refused := [name for name in typed if name not in ANEW]:
        raise OptionError(
            f"--from takes everything from the picture, so {', '.join(refused)} cannot be given with it.",
            remedy="Leave it out; or read the settings with `latentry show` and give them without --from.",
        )
    return {name: context.params[name] for name in typed}


def _source(context: typer.Context, name: str) -> str:
    return getattr(context.get_parameter_source(name), "name", "")
