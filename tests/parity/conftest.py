"""The models that both sides run."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.models import write_stable_diffusion

from latentry import PluginHost

MODELS = ("tiny", "tiny-v", "tiny-zero-snr", "shapes")


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
