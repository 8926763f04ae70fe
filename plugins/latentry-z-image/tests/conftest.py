"""A Z-Image of random weights of each kind, written once and loaded once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.models_z_image import Kind, write_z_image

from latentry import ModelFiles
from latentry_z_image.checkpoint import open_checkpoint
from latentry_z_image.model import ZImage

KINDS: tuple[Kind, ...] = ("turbo", "base")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Networks this small gain nothing from a second thread, and lose much by it on a busy machine."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Their folders by variant; not to be written to."""
    root = tmp_path_factory.mktemp("models")
    return {kind: write_z_image(root / kind, kind) for kind in KINDS}


@pytest.fixture(scope="session")
def folder(folders: dict[str, Path]) -> Path:
    """Turbo's."""
    return folders["turbo"]


@pytest.fixture(scope="session")
def model(folder: Path) -> ZImage:
    """Turbo's."""
    return open_checkpoint(ModelFiles(folder), "turbo").load(torch.device("cpu"), torch.float32)
