"""The models that both sides run, and the noise that both are given."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from support.both_pipelines import Peers
from support.models import write_stable_diffusion
from support.peer_runs import Patch
from torch import Tensor

from latentry import Engine, PluginHost


@pytest.fixture(scope="session")
def models(tiny: Path, tiny_v: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders by name; the shipped model is left out where its weights are not there."""
    zero_snr = write_stable_diffusion(
        tmp_path_factory.mktemp("models") / "tiny-zero-snr",
        prediction="v_prediction",
        seed=2,
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        steps_offset=0,
    )
    found = {"tiny": tiny, "tiny-v": tiny_v, "tiny-zero-snr": zero_snr}
    host = PluginHost()
    if "shapes" in host.checkpoints:
        shipped = Path(host.checkpoints.load("shapes")())
        if any(shipped.glob("unet/*.safetensors")):
            found["shapes"] = shipped
    return found


@pytest.fixture(scope="session")
def host() -> PluginHost:
    """Everything installed."""
    return PluginHost()


@pytest.fixture(scope="session")
def engine(host: PluginHost) -> Engine:
    """Keeps the model of the last request."""
    return Engine(host)


@pytest.fixture(scope="session")
def peers() -> Peers:
    """Keeps diffusers' pipelines."""
    return Peers()


@pytest.fixture
def patch(monkeypatch: pytest.MonkeyPatch) -> Patch:
    """Gives a diffusers scheduler's module its noise from a list, in order."""

    def replace(module: str, drawn: list[Tensor]) -> None:
        left = iter(drawn)
        monkeypatch.setattr(importlib.import_module(module), "randn_tensor", lambda *_, **__: next(left), raising=False)

    return replace
