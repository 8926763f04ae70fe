"""Batches on Ray: ``latentry batch --executor ray``. ``executor.py`` is imported when a batch is drawn with it."""

from __future__ import annotations

from collections.abc import Iterable

from latentry import ExecutorSpec, hookimpl


@hookimpl
def latentry_executors() -> Iterable[ExecutorSpec]:
    """The one executor of this distribution."""
    yield ExecutorSpec(
        name="ray", target="latentry_ray.executor:RayExecutor", summary="the machines of a Ray cluster, one engine each"
    )
