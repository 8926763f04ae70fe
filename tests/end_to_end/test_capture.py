"""``capture``: pictures of the same bits from graphs, with LoRAs, attention and tasks that change in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from support.families import TINY
from support.loras import diffusers, random_lora, write
from torch import Tensor

from latentry import Engine, GenerationRequest, LoraRequest, MemoryPolicy, OptionError, PluginHost

SIDE = 32
PICTURE = Image.radial_gradient("L").resize((SIDE, SIDE))


@pytest.fixture(scope="module")
def host() -> PluginHost:
    return PluginHost()


def latents(engine: Engine, folder: Path, *, picture: bool = False, **changed: Any) -> Tensor:
    given = {"strength": 0.7} if picture else {}
    request = GenerationRequest(
        prompt="a red circle", model=str(folder), seed=4, steps=2, width=SIDE, height=SIDE, **given, **changed
    )
    return engine.generate(request, init_image=PICTURE if picture else None).latents


def graphs(engine: Engine, folder: Path) -> int:
    """How many graphs the engine's model has."""
    setup = engine.prepare(GenerationRequest(prompt="", model=str(folder), width=SIDE, height=SIDE))
    return sum(len(made.graphs) for loaded in engine._studio.models.load(setup) for made in loaded.captures.values())


@pytest.mark.slow
@pytest.mark.parametrize("family", TINY)
def test_graphs_give_the_same_bits(host: PluginHost, family: str, tmp_path: Path) -> None:
    folder = TINY[family].write(tmp_path / "model")
    plain, captured = Engine(host), Engine(host, MemoryPolicy(capture="script"))
    named = random_lora(
        plain.load(plain.prepare(GenerationRequest(prompt="", model=str(folder), width=SIDE, height=SIDE))).networks,
        lambda part, name: "to_q" in name and not part.startswith("text"),
    )
    worn = LoraRequest(path=str(write(tmp_path / "some.safetensors", diffusers(named))))
    changes: tuple[dict[str, Any], ...] = (
        {},
        {"picture": True},
        {"loras": (worn,)},
        {"loras": (worn,), "lora_mode": "merged"},
        {"attention": "native"},
        {"count": 2, "batch": 2},
        {},
    )
    for change in changes:
        assert torch.equal(latents(captured, folder, **change), latents(plain, folder, **change)), change
    assert graphs(captured, folder) >= 4


def test_auto_begins_with_the_third_picture(host: PluginHost, tmp_path: Path) -> None:
    folder = TINY["latentry-flux:flux"].write(tmp_path / "model")
    engine = Engine(host, MemoryPolicy(capture="auto"))
    seen = []
    for _ in range(3):
        latents(engine, folder)
        seen.append(graphs(engine, folder))
    assert seen == [0, 0, 1]


@pytest.mark.parametrize("how", ["script", "compile"])
def test_graphs_and_offload_are_refused_together(host: PluginHost, tmp_path: Path, how: str) -> None:
    folder = TINY["latentry-flux:flux"].write(tmp_path / "model")
    engine = Engine(host, MemoryPolicy(offload="model"))
    with pytest.raises(OptionError, match="cannot be captured"):
        latents(engine, folder, capture=how)
    assert torch.equal(latents(engine, folder, capture="auto"), latents(Engine(host), folder))


def test_a_recipe_says_how_the_network_ran(host: PluginHost, tmp_path: Path) -> None:
    folder = TINY["latentry-flux:flux"].write(tmp_path / "model")
    request = GenerationRequest(prompt="", model=str(folder), seed=1, steps=2, width=SIDE, height=SIDE)
    result = Engine(host, MemoryPolicy(capture="script")).generate(request)
    assert result.recipes[0].request.capture == "script"
    assert torch.equal(Engine(host).reproduce(result.recipes[0]).latents, result.latents)
