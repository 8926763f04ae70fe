"""The command line and the shipped model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.commandline import CommandLine

from latentry import PluginHost


@pytest.fixture(scope="session")
def latentry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """Runs commands."""
    line = CommandLine(tmp_path_factory.mktemp("commands"))
    yield line
    line.close()


@pytest.fixture(scope="session")
def shapes() -> Path:
    """The shipped model's folder."""
    host = PluginHost()
    folder = Path(host.checkpoints.load("shapes")()) if "shapes" in host.checkpoints else Path("absent")
    if not any(folder.glob("unet/*.safetensors")):
        pytest.skip("the shipped model has no weights yet")
    return folder
