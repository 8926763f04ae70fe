"""The part of a picture that a control is confined to."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from latentry._errors import IncompatibleError


@dataclass(frozen=True, eq=False)
class ControlMask:
    """Confines what a conditioner injects; 1 steers as without a mask, 0 not at all.

    Attributes:
        levels: (1, 1, height, width), 0 to 1, float32, of the size of the picture that is drawn.
        own: the conditioner is given them and confines itself; else its tensors are multiplied by them.
    """

    levels: Tensor
    own: bool = False
    _kept: dict[tuple[int, int], Tensor] = field(default_factory=dict, repr=False)

    def confine(self, name: str, tensor: Tensor, x: Tensor) -> Tensor:
        """A tensor of the conditioner's, zero where the mask is.

        Args:
            name: of its injection point.
            tensor: (rows, channels, height, width), or (rows, tokens, width) with the tokens of the picture by rows.
            x: what the denoiser is given, (rows, channels, height, width).

        Raises:
            IncompatibleError: its places are not those of the picture.
        """
        if self.own:
            return tensor
        places = (tensor.shape[-2], tensor.shape[-1]) if tensor.ndim == 4 else _grid(tensor, x)
        if places is None or (places == (1, 1) and x.shape[-2:] != (1, 1)):
            raise IncompatibleError(
                f"What is injected at {name!r} cannot be confined to a mask.",
                why=f"Its shape is {tuple(tensor.shape)}, which are not places of the picture.",
                remedy="Leave the control's mask out.",
                field="controls",
            )
        levels = self._over(places).to(tensor)
        return tensor * (levels if tensor.ndim == 4 else levels.flatten(2).transpose(1, 2))

    def _over(self, places: tuple[int, int]) -> Tensor:
        """(1, 1, rows, columns): the mean over what each place covers, so that one without any white is exactly 0."""
        if places not in self._kept:
            self._kept[places] = adaptive_avg_pool2d(self.levels, places)
        return self._kept[places]


def _grid(tensor: Tensor, x: Tensor) -> tuple[int, int] | None:
    """Rows and columns of tokens, each of which covers a square of latents; None where their number is not such."""
    if tensor.ndim != 3:
        return None
    height, width = x.shape[-2:]
    side = math.isqrt(max(1, height * width // tensor.shape[1]))
    for each in (side, side + 1):
        rows, columns = -(-height // each), -(-width // each)
        if rows * columns == tensor.shape[1]:
            return rows, columns
    return None
