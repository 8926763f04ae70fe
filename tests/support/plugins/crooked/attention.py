"""What the records name."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from latentry.testing import EagerAttention


class Wide(EagerAttention):
    """In order.

    Args:
        level: an option.
    """

    def __init__(self, level: int = 0) -> None:
        super().__init__()
        self.level = level


class Narrow(EagerAttention):
    """In order."""


class Rough(EagerAttention):
    """Off by a tenth."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
        return super().attend(q, k, v, **options) + 0.1 * v.abs().max()


class Wrong(EagerAttention):
    """Off by a hundredth, and says nothing of it."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
        return super().attend(q, k, v, **options) + 0.01 * v.abs().max()


class Maskless(EagerAttention):
    """Declares masks and drops them."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
        return super().attend(q, k, v, **(options | {"mask": None}))


class Failing(EagerAttention):
    """Fails on call."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
        raise RuntimeError("CUDA error: no kernel image is available")


class Driverless(EagerAttention):
    """Fails at the question."""

    def probe(self) -> str | None:
        raise OSError("libcudart.so.12: cannot open shared object file")


class Fickle(EagerAttention):
    """Passes a small check, and fails at anything larger."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
        if q.shape[2] > 40:
            raise RuntimeError("illegal memory access")
        return super().attend(q, k, v, **options)
