"""diffusers reads what we convert to, and we read what it writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import diffusers
import pytest
import torch
from safetensors.torch import load_file
from support.models import write_stable_diffusion
from support.models_flux import write_flux
from support.models_sd3 import write_stable_diffusion_3
from support.models_sdxl import write_stable_diffusion_xl
from torch import nn

from latentry import ModelFiles
from latentry.models import Conversion
from latentry_diffusers.bundle.networks import common_name
from latentry_flux import release as flux
from latentry_sd import release as sd
from latentry_sd3 import release as sd3
from latentry_sdxl import release as sdxl

pytestmark = pytest.mark.slow


class Case(NamedTuple):
    write: Callable[[Path], Path]
    convert: Callable[[ModelFiles, str, Conversion], tuple[Path, ...]]
    variant: str
    pipeline: str


CASES: Mapping[str, Case] = {
    "sd": Case(write_stable_diffusion, sd.convert, "sd15", "StableDiffusionPipeline"),
    "sd2": Case(write_stable_diffusion, sd.convert, "sd21-base", "StableDiffusionPipeline"),
    "sd-inpainting": Case(
        partial(write_stable_diffusion, inpainting=True),
        sd.convert,
        "sd15-inpainting",
        "StableDiffusionInpaintPipeline",
    ),
    "sdxl": Case(write_stable_diffusion_xl, sdxl.convert, "base", "StableDiffusionXLPipeline"),
    "refiner": Case(
        partial(write_stable_diffusion_xl, kind="refiner"), sdxl.convert, "refiner", "StableDiffusionXLImg2ImgPipeline"
    ),
    "sd3": Case(write_stable_diffusion_3, sd3.convert, "sd35-medium", "StableDiffusion3Pipeline"),
    "flux": Case(write_flux, flux.convert, "dev", "FluxPipeline"),
}
IDENTITY = ("text_projection.weight",)
"""Of SD3's CLIP-L, for which diffusers takes the identity whatever the file says."""


@pytest.fixture(scope="module", params=CASES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Case, Path]:
    case = CASES[request.param]
    return case, case.write(tmp_path_factory.mktemp("models") / request.param)


def assert_same(found: nn.Module, wanted: nn.Module, *but: str) -> None:
    ours = {common_name(name): tensor for name, tensor in found.state_dict().items()}
    theirs = {common_name(name): tensor for name, tensor in wanted.state_dict().items()}
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == list(but)


def networks(pipeline: Any) -> dict[str, nn.Module]:
    return {name: part for name, part in pipeline.components.items() if isinstance(part, nn.Module)}


@pytest.fixture(scope="module")
def single(made: tuple[Case, Path]) -> tuple[Path, ...]:
    """The model in our single files."""
    case, folder = made
    return case.convert(ModelFiles(folder), case.variant, Conversion(folder.parent / "model.safetensors", "single"))


@pytest.fixture(scope="module")
def read(made: tuple[Case, Path], single: tuple[Path, ...]) -> Any:
    """That file in diffusers."""
    case, folder = made
    if case.pipeline == "FluxPipeline":
        pytest.skip("diffusers cuts FLUX's matrices at the width of the published networks")
    kind = getattr(diffusers, case.pipeline)
    return kind.from_single_file(str(single[0]), config=str(folder), local_files_only=True)


@pytest.fixture(scope="module")
def wanted(made: tuple[Case, Path]) -> dict[str, nn.Module]:
    """The networks that diffusers loads from the folder that all began with."""
    case, folder = made
    return networks(getattr(diffusers, case.pipeline).from_pretrained(folder))


def test_diffusers_reads_our_single_files(made: tuple[Case, Path], read: Any, wanted: Mapping[str, nn.Module]) -> None:
    found = networks(read)
    assert found.keys() == wanted.keys()
    for name, network in wanted.items():
        but = IDENTITY if (made[0].variant, name) == ("sd35-medium", "text_encoder") else ()
        assert_same(found[name], network, *but)


def test_we_read_what_diffusers_saves_of_a_single_file(
    made: tuple[Case, Path], single: tuple[Path, ...], read: Any, tmp_path: Path
) -> None:
    """And give back what it was made from."""
    case, _ = made
    read.save_pretrained(tmp_path / "saved")
    back = Conversion(tmp_path / "back.safetensors", "single")
    case.convert(ModelFiles(tmp_path / "saved"), case.variant, back)
    tensors, again = load_file(single[0]), load_file(back.out)
    assert tensors.keys() == again.keys()
    differing = [name for name in tensors if not torch.equal(tensors[name], again[name])]
    assert differing == [f"text_encoders.clip_l.transformer.{IDENTITY[0]}"] * (case.variant == "sd35-medium")


def test_diffusers_reads_an_autoencoder_out_of_them(
    made: tuple[Case, Path], single: tuple[Path, ...], wanted: Mapping[str, nn.Module]
) -> None:
    config = str(made[1] / "vae")
    read = diffusers.AutoencoderKL.from_single_file(str(single[-1]), config=config, local_files_only=True)
    assert_same(read, wanted["vae"])


def test_diffusers_reads_our_folders(made: tuple[Case, Path], wanted: Mapping[str, nn.Module], tmp_path: Path) -> None:
    case, folder = made
    case.convert(ModelFiles(folder), case.variant, Conversion(tmp_path / "model", "sharded", "500KB"))
    pipeline = diffusers.DiffusionPipeline.from_pretrained(tmp_path / "model", local_files_only=True)
    assert type(pipeline).__name__ == case.pipeline
    found = networks(pipeline)
    assert found.keys() == wanted.keys()
    for name, network in wanted.items():
        assert_same(found[name], network)
