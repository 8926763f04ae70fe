"""Frequency-decoupled guidance (FDG)."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor
from torch.nn.functional import interpolate, pad

from latentry import NoMemory
from latentry.guidance import COND, UNCOND, GuidanceMethod, Guide, GuidedQuery
from latentry.solvers import combine

BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
"""Burt and Adelson's kernel (1983, The Laplacian Pyramid as a Compact Image Code), in each direction."""
LEAST = 3
"""The shortest side that the kernel can be reflected at."""


class FrequencyDecoupled(GuidanceMethod):
    """Each level of a Laplacian pyramid has a guidance scale of its own (Sadat et al. 2025, arXiv:2506.19713).

    The finest level, of the highest frequencies, has the request's scale w, the coarsest 1 + ``low``·(w − 1), levels
    between them scales between. The pyramid is linear and restores its input, so only the difference of the outputs
    goes through it, and what the network predicts makes no difference.
    """

    low: float = Field(
        default=0.5, ge=0.0, description="guidance of the lowest frequencies, as a share of the guidance of the highest"
    )
    levels: int = Field(default=2, ge=2, le=8, description="levels of the pyramid; fewer for a small picture")

    def guide(self, query: GuidedQuery, memory: NoMemory) -> Guide:
        """Weights the difference of the outputs, whatever their prediction type."""
        uncond, cond = yield UNCOND, COND
        difference = cond.output - uncond.output
        shares = [1.0 + (self.low - 1.0) * level / (self.levels - 1) for level in range(self.levels)]
        weights = [1.0 + (query.scale - 1.0) * share for share in shares]
        return uncond.output + weighted(difference, weights), memory


def weighted(picture: Tensor, weights: list[float]) -> Tensor:
    """A picture whose pyramid's levels were multiplied by weights, the finest first.

    Args:
        picture: (batch, channels, height, width).
        weights: one for each level; where the picture is too small for so many, the last ones are left out.
    """
    weight, *rest = weights
    height, width = picture.shape[-2:]
    if not rest or min(height, width) < LEAST:
        return weight * picture
    coarse = interpolate(blurred(picture), size=(height // 2, width // 2), mode="bilinear", align_corners=False)
    detail = picture - enlarged(coarse, (height, width))
    return weight * detail + enlarged(weighted(coarse, rest), (height, width))


def enlarged(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """A level at the size of the finer one."""
    return blurred(interpolate(picture, size=size, mode="bilinear", align_corners=False))


def blurred(picture: Tensor) -> Tensor:
    """A picture through the binomial kernel, reflected at its edges."""
    height, width = picture.shape[-2:]
    padded = pad(picture, (2, 2, 2, 2), mode="reflect")
    # the weights are host floats: a kernel tensor would have to be copied to the device
    rows = combine(*((weight, padded[..., i : i + height, :]) for i, weight in enumerate(BINOMIAL)))
    return combine(*((weight, rows[..., i : i + width]) for i, weight in enumerate(BINOMIAL)))
