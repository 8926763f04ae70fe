"""Failed allocations, on any device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from latentry._discovery import is_out_of_memory
from latentry._errors import ResourceError


@contextmanager
def reporting_out_of_memory(what: str) -> Iterator[None]:
    """Turns a failed allocation, on any device, into one clear error."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        text = str(error)
        if not is_out_of_memory(error):
            raise
        raise ResourceError(
            f"Out of memory while {what}.",
            why=text.splitlines()[0] if text else "",
            remedy="Use offload, tiles for the autoencoder or the denoiser, fewer pictures at once (batch 1), a "
            "smaller width and height, or float16.",
        ) from error
