"""Pictures that conditioners steer by, made of photographs by libraries."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor

NEEDED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "canny": ("cv2", "OpenCV: pip install opencv-python-headless"),
        "lineart-standard": ("controlnet_aux", "controlnet_aux: pip install controlnet-aux"),
    }
)
"""The module that makes each, and what to install for it."""


class PictureOptions(BaseModel):
    """What becomes of a picture before a conditioner sees it; a conditioner with more options derives from it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preprocess: Literal["canny", "lineart-standard"] | None = Field(
        default=None,
        description="what to make of a photograph: canny: edges (Canny 1986), by OpenCV; lineart-standard: light lines "
        "where it is darker than around, by controlnet_aux",
    )
    low: int = Field(default=100, ge=0, le=1000, description="of canny: gradient from which an edge goes on")
    high: int = Field(default=200, ge=0, le=1000, description="of canny: gradient from which an edge begins")

    @field_validator("preprocess")
    @classmethod
    def _is_installed(cls, name: str | None) -> str | None:
        if name is not None and find_spec(NEEDED[name][0]) is None:
            raise ValueError(f"it needs {NEEDED[name][1]}")
        return name

    @model_validator(mode="after")
    def _fits(self) -> PictureOptions:
        if self.preprocess != "canny" and {"low", "high"} & self.model_fields_set:
            raise ValueError("low and high are of preprocess=canny")
        if self.low > self.high:
            raise ValueError(f"low must not be above high, and is {self.low} where high is {self.high}")
        return self


def preprocessed(picture: Tensor, options: PictureOptions | None) -> Tensor:
    """The picture that a conditioner is to see, (1, 3, height, width) in −1..1, of the one that was given."""
    if options is None or options.preprocess is None:
        return picture
    import torch

    levels = ((picture[0].permute(1, 2, 0) + 1) * 127.5).round().to(torch.uint8).cpu().numpy()
    made = torch.from_numpy(_lines(levels) if options.preprocess == "lineart-standard" else _edges(levels, options))
    return (made.to(picture) / 127.5 - 1).expand(1, 3, *made.shape)


def _edges(levels: NDArray[Any], options: PictureOptions) -> NDArray[Any]:
    """(height, width), 0 or 255, of (height, width, 3)."""
    cv2: Any = import_module("cv2")
    found: NDArray[Any] = cv2.Canny(levels, options.low, options.high)
    return found


def _lines(levels: NDArray[Any]) -> NDArray[Any]:
    """(height, width), 0 to 255, of (height, width, 3); the three channels of the library's answer are alike."""
    library: Any = import_module("controlnet_aux")
    # it works at a multiple of 64 pixels and gives the size of what it is given
    shown = library.LineartStandardDetector()(levels, detect_resolution=min(levels.shape[:2]), output_type="np")
    lines: NDArray[Any] = shown[..., 0]
    return lines
