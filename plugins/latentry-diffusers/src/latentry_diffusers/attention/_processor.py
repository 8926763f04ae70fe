"""The base of what computes attention in diffusers' layers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from inspect import signature
from typing import Any, ClassVar

from latentry.attention import AttentionBackend


class Processor(ABC):
    """What diffusers' layers call, with themselves as the first argument, in place of their own processor.

    A class whose layers are all of one role has it as the attribute ``role``.

    Args:
        backend: computes softmax(q·kᵀ·scale + mask)·v.

    Attributes:
        takes: the names of the arguments of ``__call__`` after the layer.
    """

    takes: ClassVar[frozenset[str]]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        _, _, *names = signature(cls.__call__).parameters
        cls.takes = frozenset(names)

    def __init__(self, backend: AttentionBackend) -> None:
        self.backend = backend

    @abstractmethod
    def __call__(self, *given: Any, **options: Any) -> Any:
        """Runs one attention layer, which is the first argument."""
