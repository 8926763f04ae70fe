"""The tuning: a reference, a portfolio of grids and schedulers, the fit, and the judgement on rows it has not seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from latentry import OptionError, Plan, Process, Scheduler
from latentry_deis import DEIS
from latentry_ipndm import IPNDM
from latentry_tune._coefficients import Coefficients, method_of
from latentry_tune._fit import Fit, Fitted, moves
from latentry_tune._following import Denoise, Path, finish, follow
from latentry_tune._grids import grids
from latentry_tune._kept import Found, Kept
from latentry_tune._reference import Reference, reference_points
from latentry_unipc import UniPC

REFERENCE_STEPS = 32
ITERATIONS = 3
FEW = 4
"""One in so many rows sorts the portfolio; all rows choose among the ``FINALISTS`` that are best there."""
FINALISTS = 4
FOLLOWED = 2
"""How many of those are fitted along the path, before the best of all is fitted as a whole."""
MOST_STEPS = 20


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What a plan is tuned for.

    Attributes:
        denoise: the network, guidance included.
        process: its noise process.
        steps: N, from 2 to ``MOST_STEPS``.
        x: samples at the noisiest level, (rows, …); rows should have different prompts.
        fitted: the first so many rows are fitted, the others judge.
        stock: the plan that is to be bettered, for networks that predict x₀ (``Prediction.X0``).
        shift: the checkpoint's time shift.
    """

    denoise: Denoise
    process: Process
    steps: int
    x: Tensor
    fitted: int
    stock: Plan
    shift: float | None = None

    def __post_init__(self) -> None:
        if not 2 <= self.steps <= MOST_STEPS:
            raise OptionError(f"A plan of {self.steps} steps cannot be tuned.", remedy=f"Use 2 to {MOST_STEPS} steps.")
        if not 2 <= self.fitted <= len(self.x) - 2:
            raise OptionError("Tuning needs at least two rows to fit and two to judge.", remedy="Give more rows.")


@dataclass(frozen=True)
class Tuned:
    """What tuning found.

    Attributes:
        coefficients: the tuned plan.
        begun: the grid and the scheduler that it comes from.
        stock: (rows that judge,) errors of the stock plan.
        errors: those of the tuned plan.
    """

    coefficients: Coefficients
    begun: str
    stock: Tensor
    errors: Tensor

    @property
    def ratio(self) -> float:
        """Mean error of the tuned plan by that of the stock plan."""
        return (self.errors.mean() / self.stock.mean()).item()

    @property
    def accepted(self) -> bool:
        """Whether it is better: the mean of log(error/stock error) lies more than its standard error below 0, and the
        mean error is not higher.
        """
        ratios = (self.errors / self.stock).log()
        return bool(ratios.mean() + ratios.std() / len(ratios) ** 0.5 < 0.0 and self.errors.mean() <= self.stock.mean())


def schedulers() -> tuple[Scheduler, ...]:
    """The portfolio's, as they are without a guard, which no coefficient can express."""
    return UniPC(guard=False), DEIS(guard=False), IPNDM(order=2, guard=False)


def cost(steps: int, fitted: int, judging: int, candidates: int) -> int:
    """Evaluations of one row that a tuning takes, about: how often a change has to be halved is not known before.

    Args:
        steps: N.
        fitted: rows that are fitted.
        judging: rows that judge.
        candidates: grids times schedulers.
    """
    once = steps * fitted
    reference = REFERENCE_STEPS * fitted
    portfolio = candidates * steps * len(range(0, fitted, FEW)) + (FINALISTS + 2 * FOLLOWED) * once
    iteration = sum(steps - since for since in moves(steps)) * fitted // 2 + once * 3 // 2
    return reference + portfolio + ITERATIONS * iteration + (REFERENCE_STEPS + 2 * steps) * judging


def candidates(process: Process, steps: int, shift: float | None) -> dict[str, Fitted]:
    """The portfolio: each grid with each scheduler, by what a person would call it."""
    made = schedulers()
    methods = {type(scheduler).__name__: method_of(scheduler, process) for scheduler in made}
    laid_out = grids(process, steps, shift, made)
    return {
        f"{name} on a grid {grid}": Fitted.unchanged(method, points)
        for grid, points in laid_out.items()
        for name, method in methods.items()
    }


def tune(problem: Problem, *, kept: Kept | None = None, told: Callable[[str], None] = lambda stage: None) -> Tuned:
    """Fits a plan of N steps to the network: grid and coefficients.

    Args:
        problem: what for.
        kept: stages that were found before.
        told: called with the name of each stage as it begins.
    """
    return _Tuning(problem, kept or Kept(), told).run()


@dataclass(frozen=True)
class _Tuning:
    problem: Problem
    kept: Kept
    told: Callable[[str], None]

    def run(self) -> Tuned:
        problem = self.problem
        fit = self._rows("reference", slice(0, problem.fitted))
        begun, found = self._begin(fit)
        path: Path | None = None
        for number in range(ITERATIONS):
            found, path = self._improve(fit, found, path, number)
        judge = self._rows("judging reference", slice(problem.fitted, None))
        self.told("judging")
        stock = judge.errors(finish(problem.denoise, problem.stock, judge.x, judge.rows))
        return Tuned(found.coefficients, begun, stock, judge.errors(judge.path(found).end))

    def _rows(self, name: str, part: slice) -> Fit:
        """Some of the problem's rows with their reference."""
        problem = self.problem
        rows, x = range(len(problem.x))[part], problem.x[part]
        points = reference_points(problem.process, REFERENCE_STEPS, problem.shift)
        finest = UniPC(order=3, guard=False)

        def compute() -> Found:
            self.told(name)
            path = follow(problem.denoise, method_of(finest, problem.process)(points), x, rows)
            return {"samples": torch.stack(path.samples), "answers": torch.stack(path.answers)}

        found = self.kept.stage(name.replace(" ", "-"), compute)
        path = Path(found["samples"].unbind(), found["answers"].unbind())
        return Fit(problem.denoise, problem.process, Reference(points, path), x, rows)

    def _begin(self, fit: Fit) -> tuple[str, Fitted]:
        """The best of the portfolio, as it is or fitted along the reference path."""
        named = list(candidates(self.problem.process, self.problem.steps, self.problem.shift).items())
        few = fit.some(slice(0, None, FEW))

        def portfolio() -> Found:
            self.told("portfolio")
            sorting = torch.tensor([few.errors(few.path(fitted).end).mean().item() for _, fitted in named])
            return {"errors": sorting.double()}

        order = self.kept.stage("portfolio", portfolio)["errors"].argsort().tolist()[:FINALISTS]

        def start() -> Found:
            self.told("best starts")
            tried = [(number, named[number][1]) for number in order]
            errors = {number: fit.errors(fit.path(fitted).end).mean().item() for number, fitted in tried}
            best = sorted(order, key=errors.__getitem__)
            starts = [(errors[best[0]], best[0], named[best[0]][1])]
            for number in best[:FOLLOWED]:
                fitted = fit.along_the_path(named[number][1])
                starts.append((fit.errors(fit.path(fitted).end).mean().item(), number, fitted))
            _, number, fitted = min(starts, key=lambda one: one[0])
            return {"number": torch.tensor(number), "shares": torch.from_numpy(fitted.shares)}

        found = self.kept.stage("start", start)
        name, unchanged = named[int(found["number"])]
        return name, replace(unchanged, shares=found["shares"].numpy())

    def _improve(self, fit: Fit, begun: Fitted, path: Path | None, number: int) -> tuple[Fitted, Path | None]:
        """One iteration. The path of what it begins from, and of what it finds, is None where it is not known."""
        after: Path | None = None

        def compute() -> Found:
            nonlocal after
            self.told(f"fit {number + 1} of {ITERATIONS}")
            fitted, after = fit.improved(begun, path or fit.path(begun), number % 2)
            lams = torch.tensor([point.lam for point in fitted.points], dtype=torch.float64)
            return {"lams": lams, "shares": torch.from_numpy(fitted.shares)}

        found = self.kept.stage(f"fit-{number + 1}", compute)
        points = tuple(self.problem.process.at(lam=lam) for lam in found["lams"].tolist())
        return replace(begun, points=points, shares=found["shares"].numpy()), after
