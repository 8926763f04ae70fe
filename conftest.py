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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what crosses packages, and the kit's long checks, but for one package's."""
    crosses = cache(lambda path: any(folder in path.parents for folder in CROSSING))
    for item in items:
        if crosses(item.path):
            item.add_marker(pytest.mark.slow)
        for base in getattr(getattr(item, "cls", None), "__mro__", ()):
            long = LONG_CHECKS.get(base.__name__)
            if long is not None and (not long or item.name in long) and QUICK[base.__name__] not in item.path.parts:
                item.add_marker(pytest.mark.slow)
