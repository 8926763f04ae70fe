"""Changes the picture's self-attention in some layers, for one evaluation.

The change is passed with the evaluation, as an option of the layers' processors, so other threads are not affected.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from latentry.attention import AttentionBackend

Attend = Callable[..., Tensor]
Part = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class LayerChange:
    """How the attention of one layer is changed; see ``latentry.models.AttentionChange``.

    Attributes:
        blur: standard deviation of the blur of the queries, in tokens; None makes attention return the values.
        size: rows and columns of the picture, in tokens of the finest level.
    """

    blur: float | None
    size: tuple[int, int]

    def query(self, project: Part) -> Part:
        """The projection to queries, with the blur applied."""
        return project if self.blur is None else partial(self._blurred, project, self.blur)

    def attend(self, backend: AttentionBackend) -> Attend:
        """The function that computes attention."""
        return _values if self.blur is None else backend.attend

    def _blurred(self, project: Part, blur: float, states: Tensor) -> Tensor:
        q = project(states)
        rows, columns = tokens_of(self.size, q.shape[1])
        picture = blurred(q.transpose(1, 2).reshape(q.shape[0], q.shape[2], rows, columns), blur)
        return picture.flatten(2).transpose(1, 2)


class _Unchanged:
    """Leaves a layer's attention unchanged."""

    @staticmethod
    def query(project: Part) -> Part:
        return project

    @staticmethod
    def attend(backend: AttentionBackend) -> Attend:
        return backend.attend


UNCHANGED = _Unchanged()


@dataclass(frozen=True)
class Changes:
    """One change, and the layers that it applies to.

    Attributes:
        layers: diffusers' layers, by ``id``.
        change: applies to each of them.
    """

    layers: frozenset[int]
    change: LayerChange

    @staticmethod
    def of(changes: Changes | None, layer: Any) -> LayerChange | _Unchanged:
        """The change of a layer, or ``UNCHANGED``."""
        return UNCHANGED if changes is None or id(layer) not in changes.layers else changes.change


def _values(q: Tensor, k: Tensor, v: Tensor, **rest: Any) -> Tensor:
    """Attention whose map is the identity (Ahn et al. 2024, arXiv:2403.17377, eq. 15)."""
    return v


def tokens_of(size: tuple[int, int], tokens: int) -> tuple[int, int]:
    """Rows and columns of the level that has this many tokens; each level is half as wide as the one before.

    Raises:
        ValueError: no level has this many tokens.
    """
    rows, columns = size
    while rows * columns > tokens:
        rows, columns = -(-rows // 2), -(-columns // 2)
    if rows * columns != tokens:
        raise ValueError(f"{tokens} tokens are not a level of {size[0]} × {size[1]}")
    return rows, columns


def blurred(picture: Tensor, deviation: float) -> Tensor:
    """Feature maps (batch, channels, rows, columns) after a Gaussian blur with reflected edges; ∞ gives their mean.

    The kernel reaches 3 standard deviations, or across the picture where that is less, as in the authors' code (Hong
    2024, arXiv:2408.00760).
    """
    if math.isinf(deviation):
        return picture.mean(dim=(-2, -1), keepdim=True).expand_as(picture)
    channels = picture.shape[1]
    for dim in (-2, -1):
        side, reach = picture.shape[dim], math.ceil(6.0 * deviation) // 2
        half = min(reach, side // 2)
        places = torch.arange(-half, half + 1, device=picture.device, dtype=torch.float32)
        kernel = torch.exp(-0.5 * (places / deviation) ** 2)
        shape = (-1, 1) if dim == -2 else (1, -1)
        weights = (kernel / kernel.sum()).to(picture.dtype).view(1, 1, *shape).expand(channels, 1, *shape)
        edges = (0, 0, half, half) if dim == -2 else (half, half, 0, 0)
        picture = conv2d(pad(picture, edges, mode="reflect"), weights, groups=channels)
    return picture
