"""Mean and variance of what a plan makes of Gaussian data, exactly: no random number is drawn."""

from __future__ import annotations

import torch
from torch import Tensor

from latentry._numerics._plan import Plan
from latentry._numerics._running._noise import Clock
from latentry._numerics._table._table import Combine, Draw, Evaluate, Guard, Operation, Table
from latentry.testing._networks._drive import drive
from latentry.testing._networks._oracles import GaussianOracle


def moments(plan: Plan, data: Tensor, *, mean: float = 1.0, together: bool = False) -> tuple[Tensor, Tensor]:
    """Mean and variance of a run's result, begun from x as the process has it there.

    Args:
        plan, data, mean, together: as for ``response``.
    """
    reached, gains = response(plan, data, mean=mean, together=together)
    return reached, gains[:, 0].square() * _begun(plan, data) + gains[:, 1:].square().sum(1)


def kept_variance(plan: Plan, data: Tensor) -> Tensor:
    """The variance of a run's result as a part of what the process has at the plan's last level, (variances,).

    Args:
        plan, data: as for ``response``.
    """
    end = plan.points[-1]
    return moments(plan, data, mean=0.0)[1] / (end.alpha**2 * data + end.sigma**2)


def response(plan: Plan, data: Tensor, *, mean: float = 1.0, together: bool = False) -> tuple[Tensor, Tensor]:
    """What a run makes of its start and of each of its draws.

    A guard measures whole samples. They are taken to have so many elements that what it measures is certain.

    Args:
        plan: any plan without hooks.
        data: (variances,) of Gaussian data, float64.
        mean: of the data.
        together: one sample has elements of all the variances, as a spectrum; else each is a sample of its own.

    Returns:
        (variances,): the result for data begun at its mean, without noise; and (variances, 1 + draws): how
        much the result moves with the start, and with each draw.
    """
    draws = count_draws(plan)
    columns = 2 + draws  # the mean, the start, every draw
    means, x = (torch.zeros(1, len(data), columns, dtype=torch.float64) for _ in range(2))
    means[..., 0], x[..., 0], x[..., 1] = mean, mean * plan.points[0].alpha, 1.0
    oracle = GaussianOracle(means, data[:, None])
    table = plan.table()
    if isinstance(table, Table) and any(isinstance(op, Guard) for step in table.steps for op in step.operations):
        end = _Elements(plan, oracle, _begun(plan, data), together).walk(table, x)[0]
    else:
        end = drive(plan, x, oracle.answer, noise=UnitDraws(2))[0]
    return end[:, 0], end[:, 1:]


def _begun(plan: Plan, data: Tensor) -> Tensor:
    """The variance at the plan's first level."""
    start = plan.points[0]
    return start.alpha**2 * data + start.sigma**2


class _Elements:
    """Walks a table with what the elements of a sample are made of, of which a guard needs the mean square.

    Args:
        plan: of the table.
        oracle: answers in columns: the mean, the start, every draw.
        begun: the variance of the start.
        together: one sample has all of the variances.
    """

    def __init__(self, plan: Plan, oracle: GaussianOracle, begun: Tensor, together: bool) -> None:
        self._plan, self._oracle, self._begun, self._together = plan, oracle, begun, together
        self._noise = UnitDraws(2)

    def walk(self, table: Table, x: Tensor) -> Tensor:
        """The columns of the result."""
        tensors: dict[str, Tensor] = {}
        for step in table.steps:
            tensors[step.sample] = x
            for operation in step.operations:
                tensors[operation.into] = self._made(operation, tensors, x)
                if isinstance(operation, Evaluate) and operation.uncond is not None:
                    tensors[operation.uncond] = tensors[operation.into]
            x = tensors[step.result]
        return x

    def _made(self, operation: Operation, tensors: dict[str, Tensor], x: Tensor) -> Tensor:
        match operation:
            case Draw(_, number, clock):
                return self._noise(x, 0, number, clock)
            case Combine(_, terms):
                return sum((c * tensors[name] for c, name in terms), torch.zeros_like(x))
            case Evaluate():
                data_std = self._plan.process.data_std
                return self._oracle.output(tensors[operation.x], operation.point, self._plan.prediction, data_std)
            case Guard():
                first, added = tensors[operation.first], tensors[operation.full] - tensors[operation.first]
                q = operation.gain * self._rms(added) / self._rms(tensors[operation.denoised])
                return first + (2.0 - q / operation.kappa).clamp(0.0, 1.0) * added

    def _rms(self, x: Tensor) -> Tensor:
        weights = torch.ones(len(self._begun), x.shape[-1], dtype=torch.float64)
        weights[:, 1] = self._begun
        square = (x.square() * weights).sum(-1, keepdim=True)
        return (square.mean(-2, keepdim=True) if self._together else square).sqrt()


def count_draws(plan: Plan) -> int:
    """How many draws a run makes."""
    source = UnitDraws(0)
    drive(plan, torch.zeros(1, 1, dtype=torch.float64), GaussianOracle().answer, noise=source)
    return source.made


class UnitDraws:
    """Noise whose j-th draw is 1 in its own column of the sample's last dimension, and 0 elsewhere.

    Args:
        first: the column of the first draw.
    """

    def __init__(self, first: int) -> None:
        self._first, self.made = first, 0

    def __call__(self, like: Tensor, interval: int, draw: int, clock: Clock | None) -> Tensor:
        """See ``NoiseSource``."""
        unit = torch.zeros_like(like)
        column = self._first + self.made
        if column < like.shape[-1]:
            unit[..., column] = 1.0
        self.made += 1
        return unit
