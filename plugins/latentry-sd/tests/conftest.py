"""A Stable Diffusion of random weights, written once and loaded once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.models import write_stable_diffusion

from latentry import ModelFiles
from latentry_sd.checkpoint import open_checkpoint
from latentry_sd.model import StableDiffusion


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Networks this small gain nothing from a second thread, and lose much by it on a busy machine."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder; not to be written to."""
    return write_stable_diffusion(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def model(folder: Path) -> StableDiffusion:
    """Its networks."""
    return open_checkpoint(ModelFiles(folder), "sd15").load(torch.device("cpu"), torch.float32)
