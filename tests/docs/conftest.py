"""The command line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.commandline import CommandLine


@pytest.fixture(scope="module")
def latentry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """Runs commands."""
    line = CommandLine(tmp_path_factory.mktemp("commands"))
    yield line
    line.close()
