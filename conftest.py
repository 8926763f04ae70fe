"""What every test of the repository runs under."""

from __future__ import annotations

import os

import pytest

# Before torch is imported: networks this small gain nothing from a second thread, and two workers of pytest-xdist would
# fight over the cores. Processes that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

LONG_CHECKS = {
    "test_coefficients",
    "test_convergence",
    "test_edges",
    "test_listing",
    "test_model_time",
    "test_one_answer",
    "test_stability",
    "test_variance",
}
"""Checks of schedulers that take most of the kit's time."""
QUICK = "latentry-ddim"
"""The package that runs them all with ``-m "not slow"`` too."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the kit's long checks as slow, but for one package's."""
    for item in items:
        bases = {base.__name__ for base in getattr(getattr(item, "cls", None), "__mro__", ())}
        if "SchedulerSuite" in bases and item.name in LONG_CHECKS and QUICK not in item.path.parts:
            item.add_marker(pytest.mark.slow)
