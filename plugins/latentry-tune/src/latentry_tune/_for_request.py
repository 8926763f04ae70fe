"""Tuning for a request: its model, prompts, size and guidance."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from latentry import Curve, Engine, GenerationRequest, IncompatibleError, Prediction, Setup
from latentry.models import fingerprint
from latentry.tables import MadeFor, PlanFile
from latentry_tune._kept import Kept
from latentry_tune._network import denoiser
from latentry_tune._table import table
from latentry_tune._tuning import Problem, Tuned, candidates, cost

RANGE = 2.0
"""Factor to both sides of the guidance that a plan is good for."""


@dataclass(frozen=True)
class Rows:
    """How many noises there are, each with one of the prompts.

    Attributes:
        fitted: that the plan is fitted to.
        judging: that decide whether it is better.
    """

    fitted: int = 24
    judging: int = 16

    def __len__(self) -> int:
        return self.fitted + self.judging


@dataclass(frozen=True)
class Prepared:
    """A tuning that can begin.

    Attributes:
        problem: what is tuned.
        setup: of the request.
        evaluations: how many evaluations of one picture it will take, about.
        seconds: how long one takes here, measured on the first rows.
    """

    problem: Problem
    setup: Setup
    evaluations: int
    seconds: float

    @property
    def key(self) -> str:
        """Text that is equal for equal tunings."""
        fields = ("prompt", "seed", "width", "height", "guidance", "dtype", "loras", "conditioning", "negative")
        about = self.setup.request.model_dump(mode="json", include=set(fields))
        sizes = [self.problem.steps, self.problem.fitted, len(self.problem.x)]
        text = json.dumps([about, sizes, fingerprint(self.setup.located.files)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def prepared(
    engine: Engine, request: GenerationRequest, rows: Rows, counted: Callable[[int], None]
) -> Iterator[Prepared]:
    """Loads the model of a request and lays the problem out.

    Args:
        engine: with the plugins.
        request: model, prompts, steps, guidance, size and seed; its scheduler is the one to be bettered.
        rows: how many.
        counted: called with the number of pictures after each evaluation.

    Raises:
        IncompatibleError: the model knows its own levels alone.
    """
    each = (request.prompt,) if isinstance(request.prompt, str) else request.prompt
    prompts = tuple(each[i % len(each)] for i in range(len(rows)))
    setup = engine.prepare(request.model_copy(update={"prompt": prompts, "count": 1}))
    if setup.located.variant.on_grid:
        raise IncompatibleError(
            f"No plan can be tuned for {setup.located.variant.name}.",
            why="It was distilled to the levels of a few steps.",
            remedy="Use its own scheduler, with as many steps as it was distilled to.",
        )
    if isinstance(setup.request.guidance, Curve):
        raise IncompatibleError(
            "No plan can be tuned for a guidance that changes over the run.",
            why="A tuned plan is for one guidance scale.",
            remedy="Give a number.",
            field="guidance",
        )
    with engine.network(setup) as network:
        plan, pictures = setup.plan, range(len(rows))
        x = network.noise(pictures) * max(1.0, plan.process.noisiest.sigma)
        denoise = denoiser(network, request.batch, counted)
        width, height = setup.request.width, setup.request.height
        assert width is not None and height is not None
        problem = Problem(
            denoise=denoise,
            process=plan.process,
            steps=len(plan),
            x=x,
            fitted=rows.fitted,
            stock=replace(plan, prediction=Prediction.X0),
            shift=setup.checkpoint.shift(width, height),
        )
        some = min(request.batch, len(rows))
        denoise(x[:some], plan.process.noisiest, pictures[:some])  # what is made on first use
        begun = perf_counter()
        denoise(x[:some], plan.process.noisiest, pictures[:some])
        seconds = (perf_counter() - begun) / some
        found = candidates(plan.process, len(plan), problem.shift)
        yield Prepared(problem, setup, cost(len(plan), rows.fitted, rows.judging, len(found)), seconds)


def plan_file(prepared: Prepared, tuned: Tuned) -> PlanFile:
    """The tuned plan as a file, with what it was made by and for."""
    setup, rows = prepared.setup, prepared.problem
    request, guidance = setup.request, setup.request.guidance
    assert guidance is not None and not isinstance(guidance, Curve)
    about: dict[str, Any] = {
        "tuned": tuned.begun,
        "model": setup.located.name if setup.located.checkpoint else Path(setup.located.name).name,
        "guidance": guidance,
        "size": [request.width, request.height],
        "rows": {"fitted": rows.fitted, "judging": len(rows.x) - rows.fitted, "seed": request.seed},
        "error": {
            "stock": f"{request.scheduler} on {request.sigmas}",
            "of_stock": _rounded(tuned.stock.mean().item()),
            "of_this": _rounded(tuned.errors.mean().item()),
            "ratio": _rounded(tuned.ratio),
        },
        "latentry": setup.core,
    }
    key = MadeFor(model=fingerprint(setup.located.files), guidance=(guidance / RANGE, guidance * RANGE))
    return PlanFile(table(tuned.coefficients, setup.plan), about, key)


def kept_for(prepared: Prepared, folder: Path | None) -> Kept:
    """The stages of a tuning in a folder."""
    return Kept(folder, prepared.key)


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")
