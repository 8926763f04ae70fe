"""A host and a checkpoint that need no network and no other plugin."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.toy import toy_host, write_toy

from latentry import Engine, PluginHost


@pytest.fixture(scope="session")
def host() -> PluginHost:
    """The core and the toys."""
    return toy_host()


@pytest.fixture
def engine(host: PluginHost) -> Engine:
    """With nothing loaded yet."""
    return Engine(host)


@pytest.fixture
def model(tmp_path: Path) -> str:
    """Variance preserving, v-prediction."""
    return str(write_toy(tmp_path / "model"))
