"""What every test of the repository runs under."""

from __future__ import annotations

import os

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the kit's long checks as slow, but for one package's."""
    for item in items:
        for base in getattr(getattr(item, "cls", None), "__mro__", ()):
            long = LONG_CHECKS.get(base.__name__)
            if long is not None and (not long or item.name in long) and QUICK[base.__name__] not in item.path.parts:
                item.add_marker(pytest.mark.slow)
