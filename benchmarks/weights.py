"""What weights in fewer bits save on the shipped models, and what they cost: memory, time and error.

``python benchmarks/weights.py [MODEL …]`` draws pictures in 20 steps with each ``--weights``, by the model's own
scheduler, on the CPU in float32 and with bfloat16 arithmetic. The error is the root mean square of what the latents are
apart from those in float32, as a share of their spread, over all pictures.
"""

from __future__ import annotations

import argparse
import time
from typing import NamedTuple

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
        GenerationRequest(prompt=prompt, model=model, seed=7 + seed, steps=20, dtype=dtype, weights=kind)
        for seed, prompt in enumerate(PROMPTS)
    ]
    engine.generate(requests[0].model_copy(update={"steps": 2}))
    begun = time.process_time()
    latents = torch.cat([engine.generate(request).latents for request in requests])
    return Drawn(latents, time.process_time() - begun, engine.loaded()[0].bytes)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("models", nargs="*", default=list(MODELS), metavar="MODEL")
    given = parser.parse_args()
    torch.set_num_threads(1)
    host = PluginHost()
    print("| model | arithmetic | weights | MB | of plain | processor time | error |")
    print(f"|{'---|' * 7}")
    for model in given.models:
        exact = drawn(host, model, "plain", "float32")
        for dtype in KINDS:
            plain = exact if dtype == "float32" else drawn(host, model, "plain", dtype)
            for kind in KINDS[dtype]:
                found = plain if kind == "plain" else drawn(host, model, kind, dtype)
                error = float((found.latents - exact.latents).square().mean().sqrt() / exact.latents.std())
                sizes = f"{found.bytes / 1e6:.1f} | {found.bytes / plain.bytes:.2f}"
                print(
                    f"| {model} | {dtype} | `{kind}` | {sizes} | {found.seconds / plain.seconds:.2f} | {error:.3f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
