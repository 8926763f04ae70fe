"""The executor before Ray is imported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from latentry import PluginError
from latentry.batches import BatchSettings, DrawnLine, Line


class RayExecutor:
    """Draws on the cluster that ``RAY_ADDRESS`` names, else on one of this machine's cores that it starts itself."""

    def run(self, lines: Sequence[Line], settings: BatchSettings) -> Iterator[DrawnLine]:
        """See ``latentry.batches.Executor``. A worker whose process or machine dies has its lines drawn again.

        Raises:
            PluginError: Ray is not installed.
        """
        if not lines:
            return
        try:
            from latentry_ray.cluster import drawn
        except ModuleNotFoundError as error:
            raise PluginError(
                "Ray is not installed.", why=str(error), remedy="Install latentry-ray[cluster], which brings it."
            ) from error
        yield from drawn(lines, settings)
