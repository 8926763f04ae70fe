"""Servers that draw with a toy and every installed scheduler."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.serving import Running, running
from support.toy import PLUGIN, write_toy

from latentry import PluginHost


@pytest.fixture(scope="session")
def host() -> PluginHost:
    """Everything that is installed, and the toys."""
    return PluginHost(plugin_dirs=[PLUGIN])


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two toys and what is none."""
    folder = tmp_path_factory.mktemp("models")
    write_toy(folder / "toy")
    write_toy(folder / "toy-flow", kind="flow")
    (folder / "notes.txt").write_text("not a model")
    (folder / "broken.safetensors").write_bytes(b"damaged")
    return folder


@pytest.fixture(scope="session")
def server(models: Path, host: PluginHost) -> Iterator[Running]:
    """One for all tests that change nothing."""
    with running(models, host) as found:
        yield found


@pytest.fixture
def start(models: Path, host: PluginHost) -> Iterator[Callable[..., Running]]:
    """Starts servers with settings of their own."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(running(models, host, **settings))
