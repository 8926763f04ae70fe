"""One model in the hands of eight threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import torch
from PIL import Image
from torch import Tensor

from latentry import Engine, GenerationRequest, PluginHost

HOST = PluginHost(load=("latentry", "latentry-sd", "latentry-ddim", "latentry-euler"))
THREADS = 8
WORDS = ("a red circle", "a (blue:1.4) square", "a green star " * 12, "")
PICTURE = Image.radial_gradient("L").resize((64, 64))


def request(folder: Path, number: int) -> GenerationRequest:
    """Short and long, weighted and negative prompts, with a picture and without, under two schedulers."""
    return GenerationRequest(
        prompt=WORDS[number % 4],
        negative=WORDS[(number + 1) % 4],
        model=str(folder),
        scheduler=("ddim", "euler")[number % 2],
        strength=0.6 if number % 3 == 0 else None,
        clip_skip=number // 4,
        seed=number,
        steps=4,
        guidance=4,
    )


def draw(engine: Engine, folder: Path, number: int) -> Tensor:
    picture = PICTURE if number % 3 == 0 else None
    return engine.generate(request(folder, number), init_image=picture).latents


def test_eight_threads_get_what_each_gets_alone(folder: Path) -> None:
    alone = Engine(HOST)
    expected = [draw(alone, folder, number) for number in range(THREADS)]
    shared, together = Engine(HOST), Barrier(THREADS)

    def run(number: int) -> Tensor:
        together.wait(timeout=120)
        return draw(shared, folder, number)

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(run, range(THREADS)))
    # a thread may sum with more helpers than the first one, which moves the last digits
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(found, expected, strict=True))
    apart = [float((a - b).abs().max()) for i, a in enumerate(expected) for b in expected[:i]]
    assert min(apart) > 0.1
