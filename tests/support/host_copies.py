"""Counting what would copy numbers of the host to a GPU, and wait for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

MADE = (torch.tensor, torch.as_tensor)
INDEXED = (Tensor.__getitem__, Tensor.__setitem__)


class HostCopies(TorchFunctionMode):
    """Counts tensors that are made of Python's numbers, and lists of them that index a tensor.

    Attributes:
        made: tensors of numbers.
        lists: indices that are lists.
    """

    def __init__(self) -> None:
        super().__init__()
        self.made = self.lists = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """See the class."""
        self.made += func in MADE and not isinstance(args[0], Tensor)
        if func in INDEXED:
            parts = args[1] if isinstance(args[1], tuple) else (args[1],)
            self.lists += any(isinstance(part, list) for part in parts)
        return func(*args, **(kwargs or {}))
