"""The executor before Ray is imported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from latentry import PluginError
from latentry.batches import BatchSettings, DrawnLine, Line, ServedEngine


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
            raise _not_installed("Ray", "cluster", error) from error
        yield from drawn(lines, settings)

    @contextmanager
    def served(self, settings: BatchSettings) -> Iterator[ServedEngine]:
        """See ``latentry.batches.ServingExecutor``: replicas on Ray Serve, an engine each.

        Raises:
            PluginError: Ray Serve is not installed.
        """
        try:
            from latentry_ray.serving import replicas
        except ModuleNotFoundError as error:
            raise _not_installed("Ray Serve", "serve", error) from error
        with replicas(settings) as engine:
            yield engine


def _not_installed(what: str, extra: str, error: ModuleNotFoundError) -> PluginError:
    remedy = f"Install latentry-ray[{extra}], which includes it."
    return PluginError(f"{what} is not installed.", why=str(error), remedy=remedy)
