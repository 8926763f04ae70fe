"""How many steps DDIM needs for the same error."""

from __future__ import annotations

import math
from itertools import accumulate, pairwise

from latentry._discovery import PluginHost
from latentry._numerics._processes._process import Process
from latentry.testing._default_plans import default_plan, preferred
from latentry.testing._measuring._result_errors import ResultError
from latentry.testing._subject import Subject

NAME = "ddim"
LADDER: tuple[int, ...] = (
    *(*range(5, 13), 14, 16, 18, 20, 23, 26, 30, 35, 40, 46, 53, 61, 70),
    *(81, 93, 107, 123, 141, 162, 187, 215, 250),
)
"""Fewer steps are not compared with: its usual grid begins the later the fewer there are, and has less to get wrong."""


class DDIMSteps:
    """DDIM's errors under its own defaults, each measured once.

    Args:
        host: finds DDIM; without one of that name there is nothing to compare with.
        measure: the error.
    """

    def __init__(self, host: PluginHost, measure: ResultError) -> None:
        self._subject = Subject.of(NAME, host=host) if NAME in host.schedulers else None
        self._measure = measure
        self._errors: dict[str, tuple[float, ...]] = {}

    def steps(self, error: float, on: Process) -> int | None:
        """The number of steps from which DDIM's error is at most this, interpolated; None if it takes more than 250."""
        if self._subject is None or on.kind not in self._subject.spec.processes:
            return None
        if on.kind not in self._errors:
            found = [self._error(self._subject, steps, on) for steps in LADDER]
            self._errors[on.kind] = tuple(accumulate(found[::-1], max))[::-1]
        errors = self._errors[on.kind]
        if error >= errors[0]:
            return LADDER[0]
        for (few, worse), (many, better) in pairwise(zip(LADDER, errors, strict=True)):
            if error >= better:
                share: float = math.log(worse / error) / math.log(worse / better)
                return math.ceil(few * math.pow(many / few, share) - 1e-9)
        return None

    def _error(self, subject: Subject, steps: int, on: Process) -> float:
        preference = preferred(subject, steps, on)
        return math.inf if preference is None else self._measure(default_plan(subject, preference, steps, on))
