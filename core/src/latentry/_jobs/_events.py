"""What a job tells of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from latentry._contract._progress import ProgressEvent

if TYPE_CHECKING:
    from PIL.Image import Image

    from latentry._request._result import GenerationResult

JobState = Literal["queued", "running", "paused", "done", "failed", "cancelled"]
ENDS: frozenset[JobState] = frozenset({"paused", "done", "failed", "cancelled"})
"""States that a job does not leave again."""


@dataclass(frozen=True)
class Queued:
    """The job waits for its turn."""


@dataclass(frozen=True)
class Started:
    """The job is being drawn."""


@dataclass(frozen=True)
class Stepped:
    """A moment of the drawing.

    Attributes:
        event: without its ``run`` and ``glimpse``, which are of one moment.
    """

    event: ProgressEvent


@dataclass(frozen=True)
class Previewed:
    """A picture as it will roughly be.

    Attributes:
        index: which picture of the request.
        image: RGB, of the size of the picture.
    """

    index: int
    image: Image


@dataclass(frozen=True)
class Drawn:
    """A batch of pictures is finished.

    Attributes:
        result: these pictures alone.
    """

    result: GenerationResult


@dataclass(frozen=True)
class Ended:
    """The last event.

    Attributes:
        state: one of ``paused``, ``done``, ``failed`` and ``cancelled``.
        error: what ``Job.result`` raises; None where there is a result.
    """

    state: JobState
    error: BaseException | None = None


JobEvent = Queued | Started | Stepped | Previewed | Drawn | Ended
