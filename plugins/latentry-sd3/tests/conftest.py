"""A Stable Diffusion 3 of random weights, written once and loaded once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.models_sd3 import write_stable_diffusion_3

from latentry import ModelFiles
from latentry_sd3.checkpoint import open_checkpoint
from latentry_sd3.model import StableDiffusion3


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Networks this small gain nothing from a second thread, and lose much by it on a busy machine."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder; not to be written to."""
    return write_stable_diffusion_3(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def model(folder: Path) -> StableDiffusion3:
    """Its networks."""
    return open_checkpoint(ModelFiles(folder), "sd35-medium").load(torch.device("cpu"), torch.float32)


@pytest.fixture(scope="session")
def without_t5(tmp_path_factory: pytest.TempPathFactory) -> StableDiffusion3:
    """The networks of a folder that has no T5."""
    folder = write_stable_diffusion_3(tmp_path_factory.mktemp("models") / "no-t5", with_t5=False)
    return open_checkpoint(ModelFiles(folder), "sd35-medium").load(torch.device("cpu"), torch.float32)
