"""The worked example of a family: a network without an autoencoder and without diffusers draws what it is asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.commandline import fresh
from support.distributions import CORE

from latentry import Engine, GenerationRequest, PluginHost

EXAMPLE = CORE.parent / "examples" / "swatches"
COLOURS = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "white": (255, 255, 255),
    "black": (0, 0, 0),
    "yellow": (255, 255, 0),
    "cyan": (0, 255, 255),
    "magenta": (255, 0, 255),
    "grey": (128, 128, 128),
}


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(PluginHost(load=("latentry", "latentry-euler", "latentry-dpmpp"), plugin_dirs=[EXAMPLE]))


def nearest(pixels: np.ndarray) -> str:
    """The colour that some pixels are nearest to in the mean."""
    mean = pixels.mean((0, 1))
    return min(COLOURS, key=lambda word: float(np.abs(mean - COLOURS[word]).max()))


@pytest.mark.parametrize("scheduler", ["euler", "dpmpp-2m"])
@pytest.mark.parametrize("word", [word for word in COLOURS if word != "grey"])
def test_a_swatch_has_the_colour_of_its_word(engine: Engine, word: str, scheduler: str) -> None:
    request = GenerationRequest(
        prompt=f"a {word} disc", model="swatches", scheduler=scheduler, steps=12, seed=5, count=3, device="cpu"
    )
    for picture in engine.generate(request).images:
        pixels = np.asarray(picture).astype(float)
        assert pixels.shape == (16, 16, 3)
        assert nearest(pixels[5:11, 5:11]) == word
        assert nearest(pixels[:2, :2]) == "grey"


def test_it_needs_neither_diffusers_nor_transformers() -> None:
    code = f"""
import sys
from latentry import Engine, GenerationRequest, PluginHost
host = PluginHost(load=("latentry", "latentry-euler"), plugin_dirs=[{str(EXAMPLE)!r}])
Engine(host).generate(GenerationRequest(prompt="red", model="swatches", steps=2, device="cpu"))
print([name for name in ("diffusers", "transformers") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_what_it_is_exempt_from_is_listed(tmp_path: Path) -> None:
    done = fresh("families", "swatches", "--plugin-dir", EXAMPLE, folder=tmp_path)
    assert done.code == 0
    assert "not checked  loras: the network is smaller than a LoRA" in done.out
