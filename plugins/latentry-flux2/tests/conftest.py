"""A FLUX.2 of random weights of each kind, written once and loaded once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.models_flux2 import Kind, write_flux2

from latentry import ModelFiles
from latentry_flux2.checkpoint import open_checkpoint
from latentry_flux2.model import Flux2

KINDS: tuple[Kind, ...] = ("dev", "klein-4b", "klein-base-4b")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Networks this small gain nothing from a second thread, and lose much by it on a busy machine."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Their folders by variant; not to be written to."""
    root = tmp_path_factory.mktemp("models")
    return {kind: write_flux2(root / kind, kind) for kind in KINDS}


@pytest.fixture(scope="session")
def models(folders: dict[str, Path]) -> dict[str, Flux2]:
    """Their networks by variant."""
    cpu = torch.device("cpu")
    return {kind: open_checkpoint(ModelFiles(path), kind).load(cpu, torch.float32) for kind, path in folders.items()}
