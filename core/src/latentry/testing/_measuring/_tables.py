"""Figures as a person reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from latentry.testing._measuring._bench import EVALUATIONS, Measured, Spent
from latentry.testing._measuring._ddim_steps import LADDER

ORACLES = {
    "path": {"mixture": "path, mixture", "spectrum": "path, spectrum of images"},
    "variance": {"gaussians": "variance, Gaussians", "spectrum": "variance, spectrum of images"},
}
"""What the errors are of, by ``Measured.error`` and oracle."""
READING = """\
Errors of the path are root mean squares, for data of variance about 1; errors of the variance are relative. In
parentheses: the steps DDIM needs for the same error under its own defaults, from 5 to 250."""


def figures(measured: Measured, oracle: str) -> list[str]:
    """One cell for 5, 8, 10, 20 and 40 evaluations each."""
    spent = {one.evaluations: one for one in measured.spent}
    return [_cell(spent.get(evaluations), oracle) for evaluations in EVALUATIONS]


def _cell(spent: Spent | None, oracle: str) -> str:
    if spent is None:
        return "-"
    steps = spent.ddim_steps[oracle]
    return f"{spent.errors[oracle]:.2g} ({f'over {LADDER[-1]}' if steps is None else steps})"


def order_text(order: float | None) -> str:
    """Two digits, or a dash where there is none."""
    return "-" if order is None else f"{order:.2f}"


def rows(measured: Iterable[Measured]) -> Iterator[list[str]]:
    """Noise process, measured order, what the error is of, and the figures: a row for each process and oracle."""
    for one in measured:
        for oracle, text in ORACLES[one.error].items():
            yield [one.process, order_text(one.order), text, *figures(one, oracle)]
