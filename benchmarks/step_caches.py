"""What step caches save on the shipped models, and what they cost: both of the same picture.

``python benchmarks/step_caches.py [MODEL …]`` draws one picture in 20 steps without a cache and with each, by Euler and
by UniPC. The error is the root mean square of what the latents are apart from those without, as a share of their
spread.
"""

from __future__ import annotations

import argparse
import time

import torch
from torch import Tensor

from latentry import Engine, GenerationRequest, PluginHost

TRANSFORMER = ("first-block:0.1", "first-block:0.2", "taylor:2", "taylor:3")
CACHES = {
    "shapes": ("deep:2", "deep:3"),
    "shapes-sdxl": ("deep:3",),
    "shapes-sd3": TRANSFORMER,
    "shapes-flux": TRANSFORMER,
}


def drawn(engine: Engine, model: str, scheduler: str, cache: str | None) -> tuple[Tensor, int, float]:
    """Latents, how many evaluations were made up, and processor seconds of a warm generation."""
    request = GenerationRequest(
        prompt="a red circle on a blue background",
        model=model,
        seed=7,
        steps=20,
        scheduler=scheduler,
        step_cache=cache,
    )
    engine.generate(request)
    begun = time.process_time()
    result = engine.generate(request)
    return result.latents, result.made_up, time.process_time() - begun


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("models", nargs="*", default=list(CACHES), metavar="MODEL")
    given = parser.parse_args()
    torch.set_num_threads(1)
    engine = Engine(PluginHost())
    print("| model | scheduler | step cache | made up, of 20 | processor time | error |")
    print(f"|{'---|' * 6}")
    for model in given.models:
        for scheduler in ("euler", "unipc"):
            plain, _, whole = drawn(engine, model, scheduler, None)
            for cache in CACHES[model]:
                latents, made_up, taken = drawn(engine, model, scheduler, cache)
                error = float((latents - plain).square().mean().sqrt() / plain.std())
                cells = (model, scheduler, f"`{cache}`", str(made_up), f"{taken / whole:.2f}", f"{error:.3f}")
                print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
