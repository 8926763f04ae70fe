"""The LoRAs that change a model at present, and their weights at the present evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import local
from typing import Generic, TypeVar

Setting = TypeVar("Setting")
Weights = TypeVar("Weights")
Change = Callable[[Setting], Iterable[Callable[[], None]]]
"""Makes the changes of a setting one by one, and yields after each what takes it away again."""


class LoraState(Generic[Setting, Weights]):
    """What LoRAs do to a model at present: one setting at a time, each for the length of a ``with`` block.

    Args:
        nothing: the setting of a model without LoRAs.
    """

    def __init__(self, nothing: Setting) -> None:
        self._current = nothing
        self._undo: list[Callable[[], None]] = []
        self._thread = local()

    @property
    def weights(self) -> Weights | None:
        """Those that ``weighing`` gave to this thread; None for those of the run's start."""
        found: Weights | None = getattr(self._thread, "weights", None)
        return found

    def set(self, wanted: Setting, change: Change[Setting]) -> AbstractContextManager[None]:
        """Makes a setting's changes now; the block's end puts the setting before it back.

        If a change cannot be made, the setting before it is in force and the error is raised.
        """
        before = self._current
        try:
            self._apply(wanted, change)
        except BaseException:
            self._apply(before, change)
            raise
        return self._restoring(before, change)

    @contextmanager
    def weighing(self, weights: Weights) -> Iterator[None]:
        """This thread's evaluations in the block have these weights; see ``latentry.models.VariesLoras``."""
        before, self._thread.weights = self.weights, weights
        try:
            yield
        finally:
            self._thread.weights = before

    def _apply(self, setting: Setting, change: Change[Setting]) -> None:
        while self._undo:
            self._undo.pop()()
        self._current = setting
        for undo in change(setting):  # one by one: what was made before a failure is taken away again
            self._undo.append(undo)

    @contextmanager
    def _restoring(self, before: Setting, change: Change[Setting]) -> Iterator[None]:
        try:
            yield
        finally:
            self._apply(before, change)
