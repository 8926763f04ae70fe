"""Models that several folders of tests use, each made once a session."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.models import write_stable_diffusion


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Stable Diffusion folder of random weights that predicts noise."""
    return write_stable_diffusion(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def tiny_v(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that predicts v, with zero terminal SNR, as Stable Diffusion 2.1's successors have it."""
    return write_stable_diffusion(tmp_path_factory.mktemp("models") / "tiny-v", prediction="v_prediction", seed=1)
