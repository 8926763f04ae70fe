"""Lines drawn by actors with an engine each. Scheduling, transport and retries are Ray's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import ray

from latentry import ResourceError
from latentry.batches import BatchSettings, DrawnLine, Line, draw_line

AHEAD = 2
"""Lines that an actor has in hand, so that it does not wait for the next."""
TRIES = 5
"""On a busy machine a later one finds more of Ray in memory."""


class Drawer:
    """One engine, in a process that Ray starts, and starts again where it dies.

    Args:
        settings: see ``BatchSettings``.
    """

    def __init__(self, settings: BatchSettings) -> None:
        self._engine, self._suffix = settings.engine(), settings.suffix

    def draw(self, line: Line) -> DrawnLine:
        """One line."""
        return draw_line(self._engine, line, self._suffix)


def drawn(lines: Sequence[Line], settings: BatchSettings) -> Iterator[DrawnLine]:
    """Each line as it is finished, on a cluster that is there or that is started for as long as this takes."""
    actors: list[Any] = []
    with connected():
        try:
            actors += _actors(min(settings.workers or engines(), len(lines)), settings)
            yield from _by(actors, lines)
        finally:
            for actor in actors:
                ray.kill(actor)


@contextmanager
def connected() -> Iterator[None]:
    """With a cluster: the one that this process uses already, or else one for as long as the context lasts."""
    own = not ray.is_initialized()
    if own:
        start(log_to_driver=False, include_dashboard=False)
    try:
        yield
    finally:
        if own:
            ray.shutdown()


def start(**settings: Any) -> None:
    """Starts Ray for this process, or joins a cluster, see ``ray.init``.

    Raises:
        ResourceError: the machine is too busy.
    """
    late: Exception | None = None
    for _ in range(TRIES):
        try:
            ray.init(**settings)
        except Exception as error:  # Ray's has no kind of its own
            ray.shutdown()
            if "timed out during startup" not in str(error):
                raise
            late = error
        else:
            return
    raise ResourceError(
        "Ray did not start.",
        why=f"Its node was not there in the half a minute that Ray allows, {TRIES} times in a row.",
        remedy="Try again when the machine is less busy.",
    ) from late


def _by(actors: Sequence[Any], lines: Sequence[Line]) -> Iterator[DrawnLine]:
    """Whoever is done gets the next."""
    waiting = iter(lines)
    under_way: dict[Any, Any] = {}
    for actor in [*actors] * AHEAD:
        if (line := next(waiting, None)) is not None:
            under_way[actor.draw.remote(line)] = actor
    while under_way:
        (finished, *_), _ = ray.wait(list(under_way))
        actor = under_way.pop(finished)
        if (line := next(waiting, None)) is not None:
            under_way[actor.draw.remote(line)] = actor
        result: DrawnLine = ray.get(finished)
        yield result


def engines() -> int:
    """How many engines fit: one for each GPU of the cluster, or for each of its machines where there are none."""
    return int(ray.cluster_resources().get("GPU", 0)) or sum(node["Alive"] for node in ray.nodes())


def resources() -> dict[str, float]:
    """What one engine takes."""
    return {"num_cpus": 1, "num_gpus": 1 if ray.cluster_resources().get("GPU", 0) else 0}


def _actors(count: int, settings: BatchSettings) -> list[Any]:
    made = ray.remote(**resources(), max_restarts=-1, max_task_retries=-1)(Drawer)
    return [made.remote(settings) for _ in range(count)]
