"""The plan of a request that names a plan file."""

from __future__ import annotations

from pathlib import Path

from latentry._contract._noise_settings import NoiseSettings
from latentry._errors import OptionError, counted
from latentry._files._locate import Located
from latentry._numerics._table._file import PlanFile
from latentry._resolve._plan import LaidOut, check_on_grid

LARGEST = 64 * 2**20
"""Bytes of a plan file; one of a thousand steps has less than two million."""


def follow_plan_file(
    file: str, steps: int | None, strength: float | None, noise: NoiseSettings, located: Located
) -> LaidOut:
    """The plan in a file, for a checkpoint.

    Args:
        file: its path.
        steps: the requested number; it can only be the file's own.
        strength: of the picture to begin from, None without one.
        noise: the checkpoint's noise process and prediction type.
        located: the checkpoint.

    Raises:
        OptionError: there is no such file, it is not a plan file, it has another number of steps, or only a part of
            them would be taken.
        IncompatibleError: it was made for another process or prediction type.
    """
    path = Path(file).expanduser().resolve()
    found = PlanFile.from_json(_read(path))
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
    check_on_grid(plan, located, f"The plan file {path.name} cannot be used with {located.name}.")
    return LaidOut(plan, len(plan), file=str(path), digest=found.digest)


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise OptionError(
            f"There is no plan file {path}.", remedy="Make one with `latentry plan export`.", field="plan"
        )
    if path.stat().st_size > LARGEST:
        raise OptionError(f"{path} is too large for a plan file.", field="plan")
    return path.read_bytes()
