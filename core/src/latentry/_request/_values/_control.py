"""A picture that steers the network, as a request names it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from latentry._contract._lora import WeightOverRun

Branches = Literal["both", "prompt"]
"""With guidance: both outputs see the control, or the one with the prompt alone."""


class ControlRequest(BaseModel):
    """A conditioner, such as a ControlNet, and the picture that it steers by."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    model: str = Field(description="folder, file, installed name, or name of a model source")
    picture: str = Field(description="path of the picture")
    weight: WeightOverRun = Field(default=1.0, description="how strongly it steers; 0 has no effect")
    interval: tuple[float, float] = Field(default=(0.0, 1.0), description="which steps, as shares of all steps")
    branches: Branches = Field(default="both", description="with guidance: which of the outputs it steers")
    mask: str | None = Field(default=None, description="path of a picture: it steers where that is white")
    options: dict[str, Any] = Field(default_factory=dict, description="the conditioner's own, e.g. mode=canny")

    @field_validator("interval")
    @classmethod
    def _within_the_run(cls, shares: tuple[float, float]) -> tuple[float, float]:
        if not 0.0 <= shares[0] < shares[1] <= 1.0:
            raise ValueError("it must be two shares of the steps, from 0 to 1, the smaller first")
        return shares
