"""Textual inversions of a request: the layouts of their files, what is refused, and recipes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from support.models import write_stable_diffusion
from support.models_flux import write_flux
from support.models_sdxl import write_stable_diffusion_xl
from support.models_z_image import write_z_image

from latentry import Engine, GenerationRequest, IncompatibleError, LatentryError, ModelError, OptionError, PluginHost


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(PluginHost())


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {
        "sd": write_stable_diffusion(root / "sd"),
        "sdxl": write_stable_diffusion_xl(root / "sdxl"),
        "refiner": write_stable_diffusion_xl(root / "refiner", "refiner"),
        "flux": write_flux(root / "flux"),
        "z-image": write_z_image(root / "z-image"),
    }


FILES = {
    "webui": {"emb_params": (3, 32)},
    "diffusers": {"<a-cat>": (32,)},
    "sdxl": {"clip_l": (2, 32), "clip_g": (2, 48)},
    "l": {"clip_l": (1, 32)},
    "g": {"clip_g": (1, 48)},
    "wide": {"emb_params": (1, 33)},
    "flux": {"clip_l": (1, 32), "t5": (1, 32)},
    "lora": {"lora_unet_down.lora_down.weight": (1, 32), "lora_unet_down.lora_up.weight": (32, 1)},
}


def write(folder: Path, kind: str) -> Path:
    path = folder / f"{kind}.safetensors"
    save_file({name: torch.randn(shape) for name, shape in FILES[kind].items()}, path)
    return path


def request(model: Path, path: Path, **settings: Any) -> GenerationRequest:
    asked = {"steps": 2, "scheduler": "euler", "embeddings": ({"name": "cat", "path": str(path)},), **settings}
    return GenerationRequest(**{"prompt": "a cat", "model": str(model), "seed": 1, **asked})


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("sd", "webui"),
        ("sd", "diffusers"),
        ("sd", "l"),
        ("sdxl", "sdxl"),
        ("flux", "l"),
        ("flux", "flux"),
    ],
)
def test_layouts_that_fit(engine: Engine, models: dict[str, Path], tmp_path: Path, model: str, kind: str) -> None:
    setup = engine.prepare(request(models[model], write(tmp_path, kind)))
    assert any("T5" in note for note in setup.notes) == (kind == "flux")


def test_the_refiner_has_the_words_too(engine: Engine, models: dict[str, Path], tmp_path: Path) -> None:
    """Its text encoder is CLIP-G: what has vectors for both of SDXL's fits."""
    path = write(tmp_path, "sdxl")
    asked = request(models["sdxl"], path, refiner=str(models["refiner"]), steps=4)
    plain = request(models["sdxl"], path, refiner=str(models["refiner"]), steps=4, embeddings=())
    drawn = [engine.generate(each).images[0].tobytes() for each in (asked, plain)]
    assert drawn[0] != drawn[1]


@pytest.mark.parametrize(
    ("model", "kind", "error", "words"),
    [
        ("sd", "wide", IncompatibleError, "has 32 numbers|have 32 numbers"),
        ("sd", "g", IncompatibleError, "clip_g"),
        ("sdxl", "l", IncompatibleError, "none for text_encoder_2"),
        ("sdxl", "webui", IncompatibleError, "none for text_encoder"),
        ("sd", "lora", ModelError, "--lora"),
        ("z-image", "l", IncompatibleError, "None of its text encoders is CLIP"),
    ],
)
def test_files_that_do_not_fit(
    engine: Engine,
    models: dict[str, Path],
    tmp_path: Path,
    model: str,
    kind: str,
    error: type[LatentryError],
    words: str,
) -> None:
    with pytest.raises(error, match=words) as caught:
        engine.prepare(request(models[model], write(tmp_path, kind)))
    assert caught.value.field == "embeddings"


def test_what_has_no_effect_is_refused(engine: Engine, models: dict[str, Path], tmp_path: Path) -> None:
    path = write(tmp_path, "webui")
    for settings in ({"prompt": "a dog"}, {"prompt": "a dog", "negative": "cat", "guidance": 1.0}):
        with pytest.raises(OptionError, match="no effect here"):
            engine.prepare(request(models["sd"], path, **settings))
    engine.prepare(request(models["sd"], path, prompt="a dog", negative="a (Cat:1.2)", guidance=4.0))
    with pytest.raises(OptionError, match="There is no file"):
        engine.prepare(request(models["sd"], tmp_path / "absent.safetensors"))
    twice = ({"name": "cat", "path": str(path)}, {"name": "CAT", "path": str(path)})
    with pytest.raises(OptionError, match="Two embeddings are called cat"):
        engine.prepare(request(models["sd"], path, embeddings=twice))


def test_the_recipe_finds_the_same_file(engine: Engine, models: dict[str, Path], tmp_path: Path) -> None:
    path = write(tmp_path, "webui")
    drawn = engine.generate(request(models["sd"], path))
    other = engine.generate(request(models["sd"], path, embeddings=()))
    assert drawn.images[0].tobytes() != other.images[0].tobytes()
    again = engine.reproduce(drawn.recipes[0])
    assert again.images[0].tobytes() == drawn.images[0].tobytes()
    write(tmp_path, "webui")
    with pytest.raises(LatentryError, match=r"embedding .* is not the one"):
        engine.reproduce(drawn.recipes[0])
