"""No garbage collection while libraries are imported: it takes a sixth of the time to the first picture."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from latentry._contract._progress import Progress, ProgressEvent


class LateCollection:
    """Garbage collection that begins when the model is loaded, for the length of a ``with`` block.

    Importing torch, diffusers and transformers makes a million objects that stay, and Python looks at all of them again
    and again as their number grows. They are frozen, so that later collections do not look at them either.
    """

    def __enter__(self) -> LateCollection:
        self._was_on = gc.isenabled()
        gc.disable()
        return self

    def __exit__(self, *_: object) -> None:
        self._begin()
        gc.unfreeze()

    def watching(self, progress: Progress | None) -> Progress:
        """What to give to the engine in place of a progress: collection begins at the first event after loading."""

        def watched(event: ProgressEvent) -> None:
            if event.stage != "load":
                self._begin()
            if progress is not None:
                progress(event)

        return watched

    def _begin(self) -> None:
        if self._was_on and not gc.isenabled():
            gc.freeze()
            gc.enable()
