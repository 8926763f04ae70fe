"""The worked example of a family: a network without an autoencoder and without diffusers draws what it is asked for."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from support.distributions import CORE

from latentry import Engine, GenerationRequest, LoraRequest, PluginHost

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


def lines_of_code(path: Path, without: Collection[str]) -> int:
    """Without docstrings, blank lines, and what has one of these names."""
    text = path.read_text(encoding="utf-8")
    left_out: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.stmt):
            continue
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if docstring or (isinstance(node, ast.FunctionDef) and node.name in without):
            first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))])
            left_out |= set(range(first, (node.end_lineno or first) + 1))
    return sum(bool(line.strip()) for number, line in enumerate(text.splitlines(), 1) if number not in left_out)


def test_a_family_is_under_50_lines_of_code_beside_its_network() -> None:
    """Its weights are registered as an installed model in a few more."""
    packaged = ("latentry_checkpoints", "weights")
    assert sum(lines_of_code(EXAMPLE / name, packaged) for name in ("__init__.py", "family.py")) < 50


def test_a_lora_draws_what_the_weights_with_its_product_draw(engine: Engine, tmp_path: Path) -> None:
    """In one file the product is added by hand."""
    weights = load_file(EXAMPLE / "swatches.safetensors")
    drawn = torch.Generator().manual_seed(3)
    up, down = torch.randn(3, 2, generator=drawn), torch.randn(2, 64, generator=drawn) / 8
    save_file({"leave.2.lora_up.weight": up, "leave.2.lora_down.weight": down}, tmp_path / "lora.safetensors")
    weights["leave.2.weight"] += 0.5 * up @ down
    save_file(weights, tmp_path / "by_hand.safetensors", metadata={"family": "swatches"})
    request = GenerationRequest(prompt="red", model="swatches", steps=6, seed=5, device="cpu")
    lora = LoraRequest(path=str(tmp_path / "lora.safetensors"), weight=0.5)
    (plain,), (merged,), (beside,), (by_hand,) = (
        [np.asarray(picture).astype(int) for picture in engine.generate(request.model_copy(update=update)).images]
        for update in (
            {},
            {"loras": (lora,), "lora_mode": "merged"},
            {"loras": (lora,)},
            {"model": str(tmp_path / "by_hand.safetensors")},
        )
    )
    assert np.abs(merged - by_hand).max() == 0
    assert np.abs(beside - by_hand).max() <= 1
    assert np.abs(plain - by_hand).max() > 8
