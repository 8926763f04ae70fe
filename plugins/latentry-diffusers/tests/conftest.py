"""What all tests of the shared parts run under."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Networks this small gain nothing from a second thread, and lose much by it on a busy machine."""
    torch.set_num_threads(1)
