"""The progress of a download, a line at a time instead of the client's own bars."""

from __future__ import annotations

from threading import Lock
from typing import Any

from tqdm import tqdm

from latentry.models import Report


def progress_bar(report: Report, name: str, size: int) -> type[Any]:
    """A class that the Hub's client creates its progress bars from.

    Args:
        report: takes a line at the start and at each further tenth.
        name: of what is downloaded.
        size: bytes that are new; nothing is reported if there are none.
    """
    lock = Lock()
    reported = {-1}

    class ReportingBar(tqdm):  # type: ignore[misc]
        """Counts bytes, and shows nothing."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            options.pop("name", None)
            self.bytes, self.counts = 0, options.get("unit") == "B"
            super().__init__(*arguments, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> None:
            """Called for each piece that arrives, from any thread."""
            self.bytes += int(n or 0)
            tenth = min(10 * self.bytes // size, 10) if size else 10
            with lock:
                if self.counts and size and tenth > max(reported):
                    reported.add(tenth)
                    report(f"Downloading {name}: {10 * tenth} % of {size / 1e9:.2g} GB")

    if size:
        report(f"Downloading {name}: {size / 1e9:.2g} GB")
    return ReportingBar
