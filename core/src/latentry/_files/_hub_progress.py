"""How far a download is, told a line at a time in place of the hub's own bars."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any


def progress_bar(tell: Callable[[str], None], name: str, size: int) -> type[Any]:
    """A class that the hub's client makes its progress bars of.

    Args:
        tell: takes a line at the start and at each further tenth.
        name: of what is downloaded.
        size: bytes of what is new; where there are none, nothing is told.
    """
    from tqdm import tqdm

    lock = Lock()
    told = {-1}

    class Told(tqdm):  # type: ignore[misc]
        """Counts bytes, and shows nothing."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            options.pop("name", None)
            self.bytes, self.counts = 0, options.get("unit") == "B"
            super().__init__(*arguments, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> None:
            """Once for each piece that arrived, from any thread."""
            self.bytes += int(n or 0)
            tenth = min(10 * self.bytes // size, 10) if size else 10
            with lock:
                if self.counts and size and tenth > max(told):
                    told.add(tenth)
                    tell(f"Downloading {name}: {10 * tenth} % of {size / 1e9:.2g} GB")

    if size:
        tell(f"Downloading {name}: {size / 1e9:.2g} GB")
    return Told
