"""The core and the crowd, each installed once a session."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.distributions import CORE, Report, Site, install, pip_install
from support.faulty import CROWD


@pytest.fixture(scope="session")
def core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the core is installed in."""
    return pip_install(tmp_path_factory.mktemp("core") / "site", CORE)


@pytest.fixture(scope="session")
def crowd(core: Path, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The core among all the plugins of ``faulty.py``."""
    return Site((core, install(tmp_path_factory.mktemp("crowd"), *CROWD)))


@pytest.fixture(scope="session")
def report(crowd: Site) -> Report:
    """What a host finds in the crowd: it started, whatever else is told of it."""
    return crowd.host()
