"""``latentry batch --executor ray`` and ``latentry serve --executor ray``.

``executor.py`` is imported when one of them is run, and imports ``cluster.py``, actors that draw the lines of a batch,
or ``serving.py``, replicas that draw for a server.
"""

from __future__ import annotations

from collections.abc import Iterable

from latentry import ExecutorSpec, hookimpl


@hookimpl
def latentry_executors() -> Iterable[ExecutorSpec]:
    """The one executor of this distribution."""
    yield ExecutorSpec(
        name="ray", target="latentry_ray.executor:RayExecutor", summary="the machines of a Ray cluster, one engine each"
    )
