"""Linear combinations of tensors with host coefficients."""

from __future__ import annotations

import torch
from torch import Tensor

Term = tuple[float, Tensor]


def combine(*terms: Term) -> Tensor:
    """The sum of coefficient · tensor over the terms, as a new tensor.

    A term with coefficient 0 is left out and not multiplied, so 0 · ∞ never arises at the ends of a noise process.
    No argument is written to, and nothing waits for the device.

    Args:
        terms: (host float, tensor) pairs; tensors of one shape, dtype and device; at least one.
    """
    live = [(c, t) for c, t in terms if c != 0.0]
    if not live:
        return torch.zeros_like(terms[0][1])
    (first, total), *rest = live
    if not rest:
        return total * first
    (second, other), *rest = rest
    # the first two terms make the result's own storage, in one kernel where a coefficient is 1
    if first == 1.0:
        total = total.add(other, alpha=second)
    elif second == 1.0:
        total = other.add(total, alpha=first)
    else:
        total = (total * first).add_(other, alpha=second)
    for coefficient, tensor in rest:
        total.add_(tensor, alpha=coefficient)
    return total
