"""IP-Adapters do what conditioners must, on networks of random weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from support.controlnets import write_ip_adapter
from support.models import write_stable_diffusion
from support.models_sdxl import write_stable_diffusion_xl

from latentry import ModelFiles
from latentry.testing import ConditionerSuite, Pair
from latentry_ip_adapter.checkpoint import detect


class TestAdapter(ConditionerSuite):
    conditioner = "ip-adapter"

    @classmethod
    def pairs(cls, folder: Path) -> Sequence[Pair]:
        sd, xl = write_stable_diffusion(folder / "sd"), write_stable_diffusion_xl(folder / "sdxl")
        return [Pair(write_ip_adapter(folder / "a", sd), sd), Pair(write_ip_adapter(folder / "b", xl), xl)]


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
