"""Stable Diffusion XL of random weights, each variant written once and loaded once."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
import torch
from support.models_sdxl import Kind, write_stable_diffusion_xl

from latentry import ModelFiles
from latentry_sdxl.checkpoint import open_checkpoint
from latentry_sdxl.model import StableDiffusionXL


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Networks this small gain nothing from a second thread, and lose much by it on a busy machine."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of each variant; not to be written to."""
    models = tmp_path_factory.mktemp("models")
    return {kind: write_stable_diffusion_xl(models / kind, kind) for kind in get_args(Kind)}


@pytest.fixture(scope="session")
def models(folders: dict[str, Path]) -> dict[str, StableDiffusionXL]:
    """The networks of each variant."""
    cpu = torch.device("cpu")
    return {
        kind: open_checkpoint(ModelFiles(folder), kind).load(cpu, torch.float32) for kind, folder in folders.items()
    }
