"""One model of each family in the hands of eight threads, through one engine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
import torch
from PIL import Image
from support.families import TINY
from torch import Tensor

from latentry import Engine, GenerationRequest, PluginHost

THREADS, SIDE = 8, 32
WORDS = ("a red circle", "a (blue:1.4) square", "a green star " * 12, "")
PICTURE = Image.radial_gradient("L").resize((SIDE, SIDE))


@pytest.fixture(scope="module")
def host() -> PluginHost:
    return PluginHost()


def draw(engine: Engine, family: str, folder: Path, number: int) -> Tensor:
    """Short and long, weighted and negative prompts, with a picture and without, under two schedulers."""
    variant, picture = engine.host.families[family].variants[0], number % 3 == 0
    guided = variant.guidance_kind == "classifier-free"
    skips = variant.skip_layers and number % 2
    request = GenerationRequest(
        prompt=WORDS[number % 4],
        negative=WORDS[(number + 1) % 4] if guided else "",
        model=str(folder),
        scheduler=("ddim", "euler-ancestral")[number % 2],
        strength=0.6 if picture else None,
        conditioning={"clip_skip": number // 4} if family in ("sd", "sdxl", "sd3") else {},
        **({"skip_layers": (number % 3,), "skip_layer_interval": (0.0, 0.5)} if skips else {}),
        width=SIDE,
        height=SIDE,
        seed=number,
        steps=4,
        guidance=1.5 + number,
    )
    return engine.generate(request, init_image=PICTURE if picture else None).latents


@pytest.mark.parametrize("family", TINY)
def test_eight_threads_get_what_each_gets_alone(host: PluginHost, family: str, tmp_path: Path) -> None:
    folder, alone, shared = TINY[family].write(tmp_path / "model"), Engine(host), Engine(host)
    expected = [draw(alone, family, folder, number) for number in range(THREADS)]
    together = Barrier(THREADS)

    def run(number: int) -> Tensor:
        together.wait(timeout=120)
        return draw(shared, family, folder, number)

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(run, range(THREADS)))
    # a thread may sum with more helpers than the first one, which moves the last digits
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(found, expected, strict=True))
    apart = [float((a - b).abs().max()) for i, a in enumerate(expected) for b in expected[:i]]
    assert min(apart) > 0.1
