"""IP-Adapters do what conditioners must, on networks of random weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image
from safetensors.torch import load_file, save_file
from support.controlnets import write_flux_ip_adapter, write_ip_adapter
from support.models import write_stable_diffusion
from support.models_flux import write_flux
from support.models_sdxl import write_stable_diffusion_xl

from latentry import ControlRequest, Engine, GenerationRequest, IncompatibleError, ModelFiles, PluginHost
from latentry.testing import ConditionerSuite, Pair
from latentry_ip_adapter.checkpoint import detect


class TestAdapter(ConditionerSuite):
    conditioner = "ip-adapter"

    @classmethod
    def pairs(cls, folder: Path) -> Sequence[Pair]:
        sd, xl = write_stable_diffusion(folder / "sd"), write_stable_diffusion_xl(folder / "sdxl")
        flux = write_flux(folder / "flux")
        return [
            Pair(write_ip_adapter(folder / "a", sd), sd),
            Pair(write_ip_adapter(folder / "b", xl), xl),
            Pair(write_flux_ip_adapter(folder / "c", flux), flux),
        ]


def test_the_picture_is_taken_as_it_was_given(tmp_path: Path) -> None:
    sd = write_stable_diffusion(tmp_path / "sd")
    file, shown = write_ip_adapter(tmp_path / "a", sd), tmp_path / "shown.png"
    Image.new("RGB", (50, 20)).save(shown)
    control = ControlRequest(model=str(file), picture=str(shown))
    asked = GenerationRequest(prompt="a", model=str(sd), controls=(control,))
    setup = Engine(PluginHost()).prepare(asked)
    assert setup.controls[0].picture.size == (50, 20)
    assert not any("scaled" in note for note in setup.notes)


def test_an_adapter_for_flux_does_not_fit_a_unet(tmp_path: Path) -> None:
    sd, flux = write_stable_diffusion(tmp_path / "sd"), write_flux(tmp_path / "flux")
    engine = Engine(PluginHost())
    files = {"flux": write_ip_adapter(tmp_path / "a", sd), "sd": write_flux_ip_adapter(tmp_path / "b", flux)}
    Image.new("RGB", (64, 64)).save(tmp_path / "shown.png")
    for model, file in files.items():
        control = ControlRequest(model=str(file), picture=str(tmp_path / "shown.png"))
        with pytest.raises(IncompatibleError, match=r"It is for (FLUX.1|a UNet)"):
            engine.prepare(GenerationRequest(prompt="a", model=str(tmp_path / model), controls=(control,)))


@pytest.mark.parametrize("name", ["image_proj.latents", "image_proj.proj.0.weight"])
def test_other_kinds_are_refused_by_name(tmp_path: Path, name: str) -> None:
    file = write_ip_adapter(tmp_path, write_stable_diffusion(tmp_path / "sd"))
    state = load_file(file)
    state[name] = state.pop("image_proj.proj.weight")
    save_file(state, file)
    found = detect(ModelFiles(file))
    assert found is not None
    assert found.variants == ()
    assert found.evidence
