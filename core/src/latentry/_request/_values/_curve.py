"""A value that changes over a run."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

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


def value_at(value: float | Curve, share: float, level: float) -> float:
    """The value of a number or a curve; see ``Curve.at``."""
    return value.at(share, level) if isinstance(value, Curve) else value
