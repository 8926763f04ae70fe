"""Running networks in torch's inference mode, of which nothing is seen outside."""

from __future__ import annotations

import torch
from torch import Tensor


def inference() -> torch.inference_mode:
    """A context in which nothing is recorded for autograd; no change where gradients are asked for.

    It saves the count of versions and the dispatch to autograd in every operation. Tensors that are made in it can
    never be used where gradients are recorded, so what leaves it goes through ``normal``.
    """
    return torch.inference_mode(not torch.is_grad_enabled())


def normal(tensor: Tensor) -> Tensor:
    """A tensor that autograd takes: the same one, or a copy of one that was made in inference mode."""
    return tensor.clone() if tensor.is_inference() else tensor
