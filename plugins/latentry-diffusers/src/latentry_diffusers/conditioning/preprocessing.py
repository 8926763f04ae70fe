"""Pictures that conditioners steer by, made of photographs by OpenCV."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

if TYPE_CHECKING:
    from torch import Tensor


class PictureOptions(BaseModel):
    """What becomes of a picture before a conditioner sees it; a conditioner with more options derives from it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preprocess: Literal["canny"] | None = Field(
        default=None, description="canny makes edges of a photograph (Canny 1986), by OpenCV"
    )
    low: int = Field(default=100, ge=0, le=1000, description="of canny: gradient from which an edge goes on")
    high: int = Field(default=200, ge=0, le=1000, description="of canny: gradient from which an edge begins")

    @field_validator("preprocess")
    @classmethod
    def _is_installed(cls, name: str | None) -> str | None:
        if name is not None and find_spec("cv2") is None:
            raise ValueError("it needs OpenCV: pip install opencv-python-headless")
        return name

    @model_validator(mode="after")
    def _fits(self) -> PictureOptions:
        if self.preprocess is None and {"low", "high"} & self.model_fields_set:
            raise ValueError("low and high are of preprocess=canny")
        if self.low > self.high:
            raise ValueError(f"low must not be above high, and is {self.low} where high is {self.high}")
        return self


def preprocessed(picture: Tensor, options: PictureOptions | None) -> Tensor:
    """The picture that a conditioner is to see, (1, 3, height, width) in −1..1, of the one that was given."""
    if options is None or options.preprocess is None:
        return picture
    import torch

    cv2: Any = import_module("cv2")
    levels = ((picture[0].permute(1, 2, 0) + 1) * 127.5).round().to(torch.uint8).cpu().numpy()
    edges = torch.from_numpy(cv2.Canny(levels, options.low, options.high)).to(picture)
    return (edges / 127.5 - 1).expand(1, 3, *edges.shape)
