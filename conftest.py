"""What every test of the repository runs under."""

from __future__ import annotations

import os

# Before torch is imported: networks this small gain nothing from a second thread, and two workers of pytest-xdist would
# fight over the cores. Processes that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
