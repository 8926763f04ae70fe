"""A value that changes over a run."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

if TYPE_CHECKING:
    from latentry._numerics._processes._point import Query

FORM = "VALUE@PLACE,VALUE@PLACE, e.g. 1@0,0.3@0.5,0@1; with σ: in front, places are noise levels, e.g. σ:0@0.1,1@14"


class Curve(BaseModel):
    """A value over the run: straight lines between points, constant before the first and after the last.

    As text: ``1@0,0@0.6`` falls from 1 to 0 in the first six tenths of the steps; two values at one place are a jump.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    points: tuple[tuple[float, float], ...] = Field(min_length=1, description="(place, value), by rising place")
    over: Literal["steps", "sigma"] = Field(
        default="steps", description="places are shares of the steps, or noise levels: σ/α on VP and EDM, σ on flow"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        places = [place for place, _ in self.points]
        if places != sorted(places):
            raise ValueError("its places must rise")
        if self.over == "steps" and not 0.0 <= places[0] <= places[-1] <= 1.0:
            raise ValueError("its places must be shares of the steps, from 0 to 1")
        return self

    def at(self, share: float, level: float) -> float:
        """The value at a place of the run.

        Args:
            share: of the steps that are done.
            level: of the noise; may be infinite.
        """
        place = share if self.over == "steps" else level
        after = bisect_right([each for each, _ in self.points], place)
        if after == 0:
            return self.points[0][1]
        if after == len(self.points) or math.isinf(place):
            return self.points[-1][1]
        (left, low), (right, high) = self.points[after - 1 : after + 1]
        return low + (high - low) * (place - left) / (right - left)

    @property
    def values(self) -> tuple[float, ...]:
        """Those at its points, between which all others lie."""
        return tuple(value for _, value in self.points)

    @property
    def first(self) -> float:
        """The value where a run begins: at no step, and at the noisiest level."""
        return self.at(0.0, math.inf)

    def __format__(self, spec: str) -> str:
        """As text, each number in a format: ``f"{curve:g}"``."""
        points = ",".join(f"{value:{spec}}@{place:{spec}}" for place, value in self.points)
        return points if self.over == "steps" else f"σ:{points}"

    @classmethod
    def parse(cls, text: str) -> Curve:
        """A curve from text.

        Raises:
            ValueError: saying what the text must be.
        """
        head, mark, rest = text.rpartition(":")
        if mark and head not in ("σ", "sigma"):
            raise ValueError(FORM)
        pairs = [point.partition("@") for point in rest.split(",")]
        try:
            points = tuple((float(place), float(value)) for value, _, place in pairs)
        except ValueError as error:
            raise ValueError(FORM) from error
        return cls(points=points, over="sigma" if mark else "steps")


Number = TypeVar("Number")


def _read(value: Any) -> Any:
    """A curve may be typed as text, wherever a number may."""
    if not isinstance(value, str) or "@" not in value:
        return value
    try:
        return Curve.parse(value)
    except ValidationError:
        raise
    except ValueError as error:
        raise ValueError(f"it must be {error}") from error


def bounded(least: float, largest: float) -> Callable[[float | Curve], float | Curve]:
    """Refuses a curve with values beyond the bounds of the number in whose place it is; a constant one is its number.

    So a request with a constant curve is the request with the number, in every respect.
    """

    def check(value: float | Curve) -> float | Curve:
        if not isinstance(value, Curve):
            return value
        if not least <= min(value.values) <= max(value.values) <= largest:
            raise ValueError(f"it must have values from {least:g} to {largest:g}")
        return value.values[0] if len(set(value.values)) == 1 else value

    return check


OverRun = Annotated[Number | Curve, BeforeValidator(_read)]
"""A number, or a curve in its place."""


def value_at(value: float | Curve, query: Query, steps: int, *, flow: bool) -> float:
    """The value of a number or a curve at an evaluation.

    Args:
        value: the number, or the curve.
        query: of the run.
        steps: of the run.
        flow: noise levels are σ, and not σ/α.
    """
    if not isinstance(value, Curve):
        return value
    return value.at(query.index / steps, query.point.sigma if flow else math.exp(-query.point.lam))


def largest(value: float | Curve) -> float:
    """The number, or the largest value of the curve: for what depends on a number and is decided once for a run."""
    return max(value.values) if isinstance(value, Curve) else value
