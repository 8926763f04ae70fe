"""What every test of the repository runs under."""

from __future__ import annotations

import gc
import os
from functools import cache
from pathlib import Path

import pytest

# Before torch is imported: networks this small gain nothing from a second thread, and two workers of pytest-xdist would
# fight over the cores. Processes that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

LONG_CHECKS = {
    "SchedulerSuite": {
        "test_coefficients",
        "test_convergence",
        "test_edges",
        "test_listing",
        "test_model_time",
        "test_one_answer",
        "test_stability",
        "test_table",
        "test_variance",
    },
    "FamilySuite": set[str](),
}
"""Checks that take most of the kit's time, by suite; all of them where none is named."""
QUICK = {"SchedulerSuite": "latentry-ddim", "FamilySuite": "latentry-sd3"}
"""The package that runs them with ``-m "not slow"`` too."""
ROOT = Path(__file__).parent
CROSSING = tuple(
    ROOT / "tests" / name
    for name in ("conformance", "discovery", "docs", "end_to_end", "parity", "publishing", "regression", "typing")
)
"""Tests that cross packages: they install distributions, draw pictures or run peers, and are slow as a whole."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With ``-m "not slow"`` leave out what would be imported only to be deselected."""
    return True if config.option.markexpr == "not slow" and collection_path in CROSSING else None


def pytest_collection() -> None:
    """Collect no garbage while modules are imported: their objects stay, and are looked at again as they grow."""
    gc.disable()


def pytest_collection_finish() -> None:
    """From now on, and without a look at what is there."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item], config: pytest.Config) -> None:
    """Mark as slow what crosses packages, the kit's long checks but for one package's, and what Hypothesis draws.

    What ``-m "not slow"`` leaves out goes here already: where one of its tests is left, Hypothesis now reads the source
    of every imported module for constants, which takes seven seconds in each process.
    """
    crosses = cache(lambda path: any(folder in path.parents for folder in CROSSING))
    for item in items:
        drawn = getattr(getattr(item, "function", None), "is_hypothesis_test", False)
        if drawn or crosses(item.path) or _is_long(item):
            item.add_marker(pytest.mark.slow)
    if config.option.markexpr == "not slow":
        slow = [item for item in items if item.get_closest_marker("slow")]
        items[:] = [item for item in items if not item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)


def _is_long(item: pytest.Item) -> bool:
    """Whether it is a check of the kit that runs for one package alone."""
    for base in getattr(getattr(item, "cls", None), "__mro__", ()):
        long = LONG_CHECKS.get(base.__name__)
        if long is not None and (not long or item.name in long) and QUICK[base.__name__] not in item.path.parts:
            return True
    return False
