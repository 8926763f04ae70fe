"""The plan of a request that names a plan file, or asks for one of those that came with the model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from latentry._contract._noise_settings import NoiseSettings
from latentry._discovery import PluginHost, plugin_call
from latentry._errors import IncompatibleError, OptionError, counted
from latentry._files._finding._locate import Located
from latentry._numerics._table._file import MadeFor, PlanFile
from latentry._request._generation_request import TUNED
from latentry._resolve._plan import LaidOut, check_on_grid

LEAST = 1e-6
"""A guidance scale that is as good as 0."""
LARGEST = 64 * 2**20
"""Bytes of a plan file; one of a thousand steps has less than two million."""


def follow_plan_file(
    host: PluginHost,
    file: str,
    steps: int | None,
    strength: float | None,
    noise: NoiseSettings,
    located: Located,
    guidance: float,
) -> LaidOut:
    """The plan in a file, for a checkpoint.

    Args:
        host: what is installed.
        file: its path; or ``tuned``.
        steps: the requested number; it can only be the file's own.
        strength: of the picture to begin from, None without one.
        noise: the checkpoint's noise process and prediction type.
        located: the checkpoint.
        guidance: the guidance scale.

    Raises:
        OptionError: there is no such file, it is not a plan file, it has another number of steps, or only a part of
            them would be taken.
        IncompatibleError: it was made for another process, prediction type or model.
    """
    if file == TUNED:
        named, found = TUNED, _tuned(host, located, steps, guidance)
    else:
        named = str(Path(file).expanduser().resolve())
        found = PlanFile.from_json(_read(Path(named)))
    plan = found.plan(noise.process, noise.prediction)
    if steps not in (None, len(plan)):
        raise OptionError(
            f"The plan file has {counted(len(plan), 'step')}, not {steps}.",
            remedy="Leave the number out, or export a plan with it.",
            field="steps",
        )
    if strength is not None and strength < 1.0:
        raise OptionError(
            "A plan file cannot be used with a strength below 1.",
            why="Later steps need what the first ones remember, so its steps are taken from the first to the last.",
            remedy="Name the scheduler instead.",
            field="strength",
        )
    check_on_grid(plan, located, f"The plan file {Path(named).name} cannot be used with {located.name}.")
    notes = tuple(_outside(found, located, guidance))
    return LaidOut(plan, len(plan), file=named, digest=found.digest, notes=notes)


def _outside(found: PlanFile, located: Located, guidance: float) -> list[str]:
    """What to say of a tuned plan that is used where it was not tuned for.

    Raises:
        IncompatibleError: it was tuned for another model.
    """
    tuned = found.made_for
    if tuned is None:
        return []
    if tuned.model != located.fingerprint:
        raise IncompatibleError(
            f"The plan was tuned for another model than {located.name}.",
            why=f"It is for {found.made_by.get('model', 'one')} with the fingerprint {tuned.model}; this model's is "
            f"{located.fingerprint}. On other networks tuned coefficients are worse than a scheduler's own.",
            remedy="Tune one for this model with `latentry tune`, or name a scheduler.",
            field="plan",
        )
    if tuned.suits(guidance):
        return []
    least, largest = tuned.guidance
    return [
        f"The plan was tuned for a guidance from {least:g} to {largest:g}; at {guidance:g} it may be worse than a "
        "scheduler's own."
    ]


def _tuned(host: PluginHost, located: Located, steps: int | None, guidance: float) -> PlanFile:
    """The tuned plan that came with the model: of this number of steps, or of the most; nearest in guidance.

    Raises:
        OptionError: none suits.
    """
    there = list(_shipped(host, located))
    fitting = [(len(plan), key, plan) for plan, key in there if key.suits(guidance) and steps in (None, len(plan))]
    if fitting:
        return max(fitting, key=lambda each: (each[0], -_away(each[1], guidance)))[2]
    asked = f"guidance {guidance:g}" if steps is None else f"{steps} steps at guidance {guidance:g}"
    known = [f"{len(plan)} steps at {key.guidance[0]:g} to {key.guidance[1]:g}" for plan, key in there]
    raise OptionError(
        f"{located.name} came with no tuned plan for {asked}.",
        why=f"It has: {'; '.join(known)}." if known else "It has none.",
        remedy="Tune one with `latentry tune`, or leave the plan out.",
        field="plan",
    )


def _shipped(host: PluginHost, located: Located) -> Iterator[tuple[PlanFile, MadeFor]]:
    """The tuned plans in the folder that the model's record names."""
    record = located.checkpoint
    if record is None or not record.plans:
        return
    folder = host.checkpoints.load(located.name, "plans")
    with plugin_call(folder):
        files = sorted(Path(folder()).glob("*.json"))
    for file in files:
        plan = PlanFile.from_json(_read(file))
        if plan.made_for is not None:
            yield plan, plan.made_for


def _away(key: MadeFor, guidance: float) -> float:
    """How far a guidance scale is from the middle of a plan's range, as a factor."""
    middle = max(math.sqrt(key.guidance[0] * key.guidance[1]), LEAST)
    return max(guidance / middle, middle / max(guidance, LEAST))


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise OptionError(
            f"There is no plan file {path}.",
            remedy="Make one with `latentry plan export` or `latentry tune`.",
            field="plan",
        )
    if path.stat().st_size > LARGEST:
        raise OptionError(f"{path} is too large for a plan file.", field="plan")
    return path.read_bytes()
