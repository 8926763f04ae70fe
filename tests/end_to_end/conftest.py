"""The command line and the shipped model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from support.commandline import CommandLine
from support.models import write_stable_diffusion
from support.models_flux import write_flux
from support.models_sd3 import write_stable_diffusion_3
from support.models_sdxl import write_stable_diffusion_xl

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


@pytest.fixture(scope="session")
def families(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """A tiny model of each family, and a refiner, of random weights; not to be written to."""
    root = tmp_path_factory.mktemp("families")
    return {
        "sd": write_stable_diffusion(root / "sd"),
        "sdxl": write_stable_diffusion_xl(root / "sdxl"),
        "sd3": write_stable_diffusion_3(root / "sd3"),
        "flux": write_flux(root / "flux"),
        "refiner": write_stable_diffusion_xl(root / "refiner", "refiner", seed=1),
    }
