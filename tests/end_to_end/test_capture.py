"""``capture``: pictures of the same bits from graphs, with LoRAs, attention and tasks that change in between."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from support.families import TINY
from support.loras import diffusers, random_lora, write
from torch import Tensor

from latentry import ControlRequest, Engine, GenerationRequest, LoraRequest, MemoryPolicy, OptionError, PluginHost

SIDE = 32
PICTURE = Image.radial_gradient("L").resize((SIDE, SIDE))


@pytest.fixture(scope="module")
def host() -> PluginHost:
    return PluginHost()


def latents(engine: Engine, folder: Path, *, picture: bool = False, **changed: Any) -> Tensor:
    given = {"seed": 4, **({"strength": 0.7} if picture else {}), **changed}
    request = GenerationRequest(
        prompt="a red circle", model=str(folder), steps=2, width=SIDE, height=SIDE, device="cpu", **given
    )
    return engine.generate(request, init_image=PICTURE if picture else None).latents


def of(loaded: Any) -> list[Any]:
    """A model's graphs; None for kinds of calls that cannot be captured."""
    return [graph for captures in loaded.captures.values() for graph in captures.graphs.values()]


def made(engine: Engine, folder: Path) -> list[Any]:
    """Those of the engine's models."""
    setup = engine.prepare(GenerationRequest(prompt="", model=str(folder), width=SIDE, height=SIDE))
    return [graph for loaded in engine._studio.models.load(setup) for graph in of(loaded)]


@pytest.mark.slow
@pytest.mark.parametrize("family", TINY)
def test_graphs_give_the_same_bits(host: PluginHost, family: str, tmp_path: Path) -> None:
    folder = TINY[family].write(tmp_path / "model")
    plain, captured = Engine(host, MemoryPolicy(capture="off")), Engine(host, MemoryPolicy(capture="graph"))
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
        {"attention": "sliced"},
        {"count": 2, "batch": 2},
        {},
    )
    for change in changes:
        assert torch.equal(latents(captured, folder, **change), latents(plain, folder, **change)), change
    assert all(made(captured, folder))
    assert len(made(captured, folder)) >= 4


@pytest.mark.parametrize(
    ("family", "change"),
    [
        ("latentry-sd:sd", {"guidance_method": "pag"}),
        ("latentry-sdxl:sdxl", {"guidance_method": "pag"}),
        ("latentry-sd3:sd3", {"guidance_method": "seg"}),
        ("latentry-sd3:sd3", {"skip_layers": (0,), "skip_layer_interval": (0.0, 1.0)}),
        ("latentry-flux:flux", {"guidance_method": "pag"}),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_weakened_networks_have_graphs_too(
    host: PluginHost, family: str, change: dict[str, Any], tmp_path: Path
) -> None:
    folder = TINY[family].write(tmp_path / "model")
    plain, captured = (Engine(host, MemoryPolicy(capture=how)) for how in ("off", "graph"))
    assert torch.equal(latents(captured, folder, **change), latents(plain, folder, **change))
    assert len(made(captured, folder)) == 2
    assert all(made(captured, folder))


@pytest.mark.parametrize("model", ["shapes-control", "shapes-adapter"])
def test_what_conditioners_inject_is_given_anew(host: PluginHost, model: str, tmp_path: Path) -> None:
    plain, captured = (Engine(host, MemoryPolicy(capture=how)) for how in ("off", "graph"))
    for number, side in enumerate((16, 40)):
        picture = Image.new("RGB", (64, 64))
        picture.paste("white", (8, 8, side, side))
        picture.save(file := tmp_path / f"{number}.png")
        wanted = GenerationRequest(
            prompt="a circle",
            model="shapes",
            steps=2,
            seed=number,
            device="cpu",
            controls=(ControlRequest(model=model, picture=str(file)),),
        )
        ours, theirs = captured.generate(wanted), plain.generate(wanted)
        assert torch.equal(ours.latents, theirs.latents)
        graphs = [graph for loaded in captured._studio.models.load(captured.prepare(wanted)) for graph in of(loaded)]
        assert graphs
        assert all(graphs)


def test_hooks_of_a_host_are_run(host: PluginHost, tmp_path: Path) -> None:
    folder, engine = TINY["latentry-sd:sd"].write(tmp_path / "model"), Engine(host, MemoryPolicy(capture="graph"))
    expected = latents(engine, folder)
    unet = engine.load(
        engine.prepare(GenerationRequest(prompt="", model=str(folder), width=SIDE, height=SIDE))
    ).networks
    seen: list[int] = []
    inner = next(layer for layer in unet["unet"].modules() if type(layer) is torch.nn.Conv2d)
    handle = inner.register_forward_hook(lambda layer, given, out: seen.append(1))
    assert torch.equal(latents(engine, folder), expected)
    assert seen
    handle.remove()
    so_far = len(seen)
    assert torch.equal(latents(engine, folder), expected)
    assert len(seen) == so_far


def test_changed_weights_and_replaced_layers_are_seen(host: PluginHost, tmp_path: Path) -> None:
    folder, engine = TINY["latentry-flux:flux"].write(tmp_path / "model"), Engine(host, MemoryPolicy(capture="graph"))
    setup = engine.prepare(GenerationRequest(prompt="", model=str(folder), width=SIDE, height=SIDE))
    network: Any = engine.load(setup).networks["transformer"]
    seen = [latents(engine, folder)]
    with torch.no_grad():
        network.proj_out.weight.mul_(0.5)
        seen.append(latents(engine, folder))
        network.proj_out.weight = torch.nn.Parameter(network.proj_out.weight * 0.5)
        seen.append(latents(engine, folder))
    for one, other in pairwise(seen):
        assert not torch.equal(one, other)
    assert torch.equal(seen[-1], latents(engine, folder, capture="off"))
    assert len(made(engine, folder)) == 1


@pytest.mark.parametrize("how", ["auto", "graph"])
def test_jobs_in_threads_share_graphs(host: PluginHost, tmp_path: Path, how: Any) -> None:
    folder = TINY["latentry-sd:sd"].write(tmp_path / "model")
    plain, captured = Engine(host, MemoryPolicy(capture="off")), Engine(host, MemoryPolicy(capture=how))
    expected = [latents(plain, folder, batch=1, seed=seed) for seed in range(3)]
    for _ in range(2 if how == "graph" else 4):
        with ThreadPoolExecutor(3) as pool:
            found = list(pool.map(lambda seed: latents(captured, folder, batch=1, seed=seed), range(3)))
        assert all(map(torch.equal, found, expected))
    assert made(captured, folder)
    assert all(made(captured, folder))


@pytest.mark.slow
def test_torchscript_gives_the_same_bits(host: PluginHost, tmp_path: Path) -> None:
    folder = TINY["latentry-flux:flux"].write(tmp_path / "model")
    scripted = Engine(host, MemoryPolicy(capture="script"))
    assert torch.equal(latents(scripted, folder), latents(Engine(host, MemoryPolicy(capture="off")), folder))
    assert all(made(scripted, folder))


def test_auto_begins_with_the_third_picture(host: PluginHost, tmp_path: Path) -> None:
    folder = TINY["latentry-flux:flux"].write(tmp_path / "model")
    engine = Engine(host, MemoryPolicy(capture="auto"))
    seen = []
    for _ in range(3):
        latents(engine, folder)
        seen.append(len(made(engine, folder)))
    assert seen == [0, 0, 1]


def test_a_graph_is_made_once_and_anew_after_a_host_has_set_something(host: PluginHost, tmp_path: Path) -> None:
    """With attention backends, whose objects are other ones in each generation."""
    folder, engine = TINY["latentry-sd:sd"].write(tmp_path / "model"), Engine(host, MemoryPolicy(capture="auto"))
    graphs = []
    for seed in range(6):
        latents(engine, folder, seed=seed)
        graphs.append(made(engine, folder))
    assert [len(each) for each in graphs] == [0, 0, 1, 1, 1, 1]
    assert all(each[0] is graphs[2][0] for each in graphs[2:])
    setup = engine.prepare(GenerationRequest(prompt="", model=str(folder), width=SIDE, height=SIDE))
    network: Any = engine.load(setup).networks["unet"]
    before = latents(engine, folder)
    network.conv_norm_out.eps = 0.5
    after = latents(engine, folder)
    assert not torch.equal(after, before)
    assert torch.equal(latents(Engine(host, MemoryPolicy(capture="off")), folder), before)


@pytest.mark.parametrize("how", ["graph", "script", "compile"])
def test_graphs_and_offload_are_refused_together(host: PluginHost, tmp_path: Path, how: str) -> None:
    folder = TINY["latentry-flux:flux"].write(tmp_path / "model")
    engine = Engine(host, MemoryPolicy(offload="model"))
    with pytest.raises(OptionError, match="cannot be captured"):
        latents(engine, folder, capture=how)
    assert torch.equal(latents(engine, folder, capture="auto"), latents(Engine(host), folder))


def test_a_recipe_says_how_the_network_ran(host: PluginHost, tmp_path: Path) -> None:
    folder = TINY["latentry-flux:flux"].write(tmp_path / "model")
    request = GenerationRequest(prompt="", model=str(folder), seed=1, steps=2, width=SIDE, height=SIDE)
    result = Engine(host, MemoryPolicy(capture="graph")).generate(request)
    assert result.recipes[0].request.capture == "graph"
    assert torch.equal(Engine(host).reproduce(result.recipes[0]).latents, result.latents)
