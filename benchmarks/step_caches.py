"""What step caches save on the shipped models, and what they cost: both of the same picture.

``python benchmarks/step_caches.py [MODEL …]`` draws one picture in 20 steps without a cache and with each, by Euler and
by UniPC; any installed model can be named. Processor time is the least of several pictures, drawn in turns. The error
is the root mean square of what the latents are apart from those without, as a share of their spread.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from latentry import Engine, GenerationRequest, PluginHost

TRANSFORMER = ("first-block:0.1", "first-block:0.2", "taylor:2", "taylor:3")
UNET = ("deep:2", "deep:3")
MODELS = ("shapes", "shapes-sdxl", "shapes-sd3", "shapes-flux", "shapes-z-image")
SCHEDULERS = ("euler", "unipc")


def caches(host: PluginHost, model: str) -> tuple[str, ...]:
    """Those that the model's family has."""
    kinds = host.families[host.checkpoints[model].family].step_caches
    return UNET if "deep" in kinds else TRANSFORMER


def drawn(engine: Engine, model: str, scheduler: str, cache: str | None) -> tuple[Tensor, int, float]:
    """Latents, how many evaluations were made up, and processor seconds of a generation."""
    request = GenerationRequest(
        prompt="a red circle on a blue background",
        model=model,
        seed=7,
        steps=20,
        scheduler=scheduler,
        step_cache=cache,
        capture="off",  # networks with a cache have no graphs
    )
    begun = time.process_time()
    result = engine.generate(request)
    return result.latents, result.made_up, time.process_time() - begun


def measured(models: Iterable[str], rounds: int) -> Iterator[dict[str, Any]]:
    """A row for each model, scheduler and cache."""
    host = PluginHost()
    for model in models:
        engine = Engine(host)
        for scheduler in SCHEDULERS:
            ways = (None, *caches(host, model))
            found = {way: drawn(engine, model, scheduler, way) for way in ways}  # warm
            least = dict.fromkeys(ways, float("inf"))
            for _ in range(rounds):
                for way in ways:
                    least[way] = min(least[way], drawn(engine, model, scheduler, way)[2])
            plain = found[None][0]
            for way in ways[1:]:
                latents, made_up, _ = found[way]
                yield {
                    "model": model,
                    "scheduler": scheduler,
                    "step cache": way,
                    "made up": made_up,
                    "processor time": least[way] / least[None],
                    "error": float((latents - plain).square().mean().sqrt() / plain.std()),
                }


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """The figures as Markdown."""
    lines = ["| model | scheduler | step cache | made up, of 20 | processor time | error |", f"|{'---|' * 6}"]
    for row in rows:
        cells = [row["model"], row["scheduler"], f"`{row['step cache']}`", str(row["made up"])]
        figures = [f"{row['processor time']:.2f}", f"{row['error']:.3f}"]
        lines.append(f"| {' | '.join(cells + figures)} |")
    return "\n".join(lines)


def main() -> None:
    """Prints the table or JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("models", nargs="*", default=list(MODELS), metavar="MODEL")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = list(measured(given.models, given.rounds))
    print(json.dumps(rows, indent=2) if given.json else table(rows))


if __name__ == "__main__":
    main()
