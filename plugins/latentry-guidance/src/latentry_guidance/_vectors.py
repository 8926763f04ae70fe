"""Pictures as vectors: every function reduces each picture of a batch by itself, to (batch, 1, …)."""

from __future__ import annotations

import torch
from torch import Tensor


def dot(a: Tensor, b: Tensor) -> Tensor:
    """The inner product of each picture of a with the same picture of b."""
    return (a * b).sum(dim=tuple(range(1, a.ndim)), keepdim=True)


def norm(a: Tensor) -> Tensor:
    """The Euclidean length of each picture."""
    length: Tensor = torch.linalg.vector_norm(a, dim=tuple(range(1, a.ndim)), keepdim=True)
    return length


def coefficient(a: Tensor, b: Tensor) -> Tensor:
    """The coefficient of b in the part of a along b: that part is coefficient · b. 0 where b is 0."""
    squared = dot(b, b)
    return torch.where(squared > 0.0, dot(a, b) / squared, 0.0)
