"""What weights in fewer bits save on the shipped models, and what they cost: memory, time and error.

``python benchmarks/weights.py [MODEL …]`` draws pictures in 20 steps with each ``--weights``, by the model's own
scheduler, on the CPU in float32 and with bfloat16 arithmetic. The error is the root mean square of what the latents are
apart from those in float32, as a share of their spread, over all pictures.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from latentry import Engine, GenerationRequest, PluginHost

MODELS = ("shapes", "shapes-sdxl", "shapes-sd3", "shapes-flux")
PROMPTS = ("a red circle on a blue background", "a green square left of a yellow circle")
KINDS = {"float32": ("plain", "float8", "int8", "int4"), "bfloat16": ("plain", "float8")}
"""By what is computed with."""


class Drawn(NamedTuple):
    """What one engine drew.

    Attributes:
        latents: of all prompts.
        seconds: of processor time, warm.
        bytes: of all weights.
    """

    latents: Tensor
    seconds: float
    bytes: int


def drawn(host: PluginHost, model: str, kind: str, dtype: str) -> Drawn:
    """Draws every prompt, after one that warms up."""
    engine = Engine(host)
    requests = [
        GenerationRequest(prompt=prompt, model=model, seed=7 + seed, steps=20, dtype=dtype, weights=kind, capture="off")
        for seed, prompt in enumerate(PROMPTS)
    ]
    engine.generate(requests[0].model_copy(update={"steps": 2}))
    begun = time.process_time()
    latents = torch.cat([engine.generate(request).latents for request in requests])
    return Drawn(latents, time.process_time() - begun, engine.loaded()[0].bytes)


def measured(models: Iterable[str]) -> Iterator[dict[str, Any]]:
    """A row for each model, arithmetic and storage."""
    host = PluginHost()
    for model in models:
        exact = drawn(host, model, "plain", "float32")
        for dtype, kinds in KINDS.items():
            plain = exact if dtype == "float32" else drawn(host, model, "plain", dtype)
            for kind in kinds:
                found = plain if kind == "plain" else drawn(host, model, kind, dtype)
                yield {
                    "model": model,
                    "arithmetic": dtype,
                    "weights": kind,
                    "MB": found.bytes / 1e6,
                    "of plain": found.bytes / plain.bytes,
                    "processor time": found.seconds / plain.seconds,
                    "error": float((found.latents - exact.latents).square().mean().sqrt() / exact.latents.std()),
                }


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """The figures as Markdown."""
    lines = ["| model | arithmetic | weights | MB | of plain | processor time | error |", f"|{'---|' * 7}"]
    for row in rows:
        sizes = f"{row['MB']:.1f} | {row['of plain']:.2f} | {row['processor time']:.2f} | {row['error']:.3f}"
        lines.append(f"| {row['model']} | {row['arithmetic']} | `{row['weights']}` | {sizes} |")
    return "\n".join(lines)


def main() -> None:
    """Prints the table or JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("models", nargs="*", default=list(MODELS), metavar="MODEL")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = list(measured(given.models))
    print(json.dumps(rows, indent=2) if given.json else table(rows))


if __name__ == "__main__":
    main()
