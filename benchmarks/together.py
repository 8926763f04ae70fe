"""Sixteen unlike requests at once: jobs that share passes, against one after another here and in diffusers.

All three ways are timed in turn in one process, around the same networks and weights; and beside them what the network
alone would gain, where each pass has the rows that jobs can share at that step::

    python benchmarks/together.py --rounds 3
    python benchmarks/together.py --threads 2         # then wall time is what counts, on a machine that is idle
    python benchmarks/together.py --capture off       # here, too, networks run as they do in diffusers
    python benchmarks/together.py --sizes --json      # by the size of the latents, jobs against one after another
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

MODELS = ("shapes", "shapes-sdxl", "shapes-sd3", "shapes-flux")
REQUESTS = 16
DISCRETE: dict[str, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {"clip_sample": False}),
    "euler": ("EulerDiscreteScheduler", {}),
    "dpmpp-2m": ("DPMSolverMultistepScheduler", {}),
    "unipc": ("UniPCMultistepScheduler", {}),
}
FLOW: dict[str, tuple[str, dict[str, Any]]] = {"euler": ("FlowMatchEulerDiscreteScheduler", {})}
"""Ours by the class of diffusers that evaluates the network as often; on flows all requests differ in their steps."""
COLOURS, SHAPES = ("red", "blue", "green", "yellow"), ("circle", "square", "ring", "star")
SIZES = (32, 64, 128, 256)
Way = Callable[[Sequence[Any]], object]
"""Draws requests."""


def main() -> None:
    """Measures, and prints tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", nargs="+", default=MODELS, choices=MODELS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--capture", choices=("off", "auto", "graph"), default="auto", help="of networks here")
    parser.add_argument("--sizes", action="store_true", help="by size instead, with the first model")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": str(given.threads)}
    import torch
    from _paired import machine

    torch.set_num_threads(given.threads)
    kept = {"capture": given.capture}
    models, rounds = given.model, given.rounds
    rows = list(by_size(models[0], rounds, **kept) if given.sizes else by_model(models, rounds, **kept))
    found = {"machine": machine(given.threads), "rows": rows}
    print(json.dumps(found, indent=2) if given.json else table(found))


def requests(model: str, schedulers: Sequence[str], **given: Any) -> list[Any]:
    """Requests of 6 to 14 steps under every scheduler, with guidance of 1.5 to 3 and prompts of their own."""
    from latentry import GenerationRequest

    return [
        GenerationRequest(
            prompt=f"a {COLOURS[number % 4]} {SHAPES[number // 4]} on a white background",
            model=model,
            seed=number,
            scheduler=schedulers[number % len(schedulers)],
            steps=6 + number * 5 % 9,
            guidance=1.5 + number % 4 / 2,
            dtype="float32",
            device="cpu",
            **given,
        )
        for number in range(REQUESTS)
    ]


def by_model(models: Sequence[str], rounds: int, **kept: Any) -> Iterator[dict[str, Any]]:
    """Jobs, one after another, and diffusers one after another."""
    from latentry import Engine, PluginHost

    host = PluginHost()
    for model in models:
        spec = host.checkpoints[model]
        peers = FLOW if host.families[spec.family].process == "flow" else DISCRETE
        wanted = requests(model, tuple(peers), **kept)
        engine, pipelines = Engine(host), _pipelines(Path(host.checkpoints.load(model)()), peers, spec.size)
        ways = _ours(engine) | {"diffusers": lambda some, draw=pipelines: [draw(each) for each in some]}
        yield {
            "name": model,
            **_timed(ways, wanted, rounds),
            "network": _network_alone(engine, wanted, rounds),
            **_apart(engine, wanted),
        }


def by_size(model: str, rounds: int, **kept: Any) -> Iterator[dict[str, Any]]:
    """Jobs and one after another, by the side of the pictures in pixels."""
    from latentry import Engine, PluginHost

    host = PluginHost()
    for side in SIZES:
        wanted = requests(model, tuple(DISCRETE), width=side, height=side, **kept)
        engine = Engine(host)
        wanted = [each.model_copy(update={"steps": 4 + each.steps % 3}) for each in wanted]
        height = engine.prepare(wanted[0]).latent_shape[1]
        yield {"name": f"{side}² pixels, {height}² latents", **_timed(_ours(engine), wanted, rounds)} | {
            "network": _network_alone(engine, wanted, rounds)
        }


def _ours(engine: Any) -> dict[str, Way]:
    return {
        "jobs": lambda wanted: [job.result() for job in [engine.submit(each) for each in wanted]],
        "serial": lambda wanted: [engine.generate(each) for each in wanted],
    }


def _network_alone(engine: Any, wanted: Sequence[Any], rounds: int) -> dict[str, float]:
    """How many times less the network takes in company: all that sharing passes can bring.

    Each of the requests evaluates once a step, so that as many share a pass as have that step. A pass of several is
    that of as many pictures of one request.
    """
    from _paired import timed

    steps = [each.steps for each in wanted]
    company = [sum(each > step for each in steps) for step in range(max(steps))]
    one = wanted[0].model_copy(update={"count": len(wanted), "batch": len(wanted)})
    least: dict[int, tuple[float, float]] = {}
    with engine.network(engine.prepare(one)) as network:
        for size in {1, *company} - {0}:
            pictures = range(size)
            query = network.setup.plan.start(network.noise(pictures), seed=0).query
            ask = partial(network, query, pictures)
            ask()
            taken = [timed(ask) for _ in range(max(3, rounds))]
            least[size] = min(wall for wall, _ in taken), min(cpu for _, cpu in taken)
    alone, shared = ([sum(least[size][i] for size in sizes) for i in (0, 1)] for sizes in ([1] * sum(steps), company))
    return {"wall": alone[0] / shared[0], "processor": alone[1] / shared[1]}


def _apart(engine: Any, wanted: Sequence[Any]) -> dict[str, float]:
    """The largest difference of latents that jobs and ``generate`` give."""
    found = [job.result().latents for job in [engine.submit(each) for each in wanted]]
    alone = [engine.generate(each).latents for each in wanted]
    return {"apart": max(float((a - b).abs().max()) for a, b in zip(found, alone, strict=True))}


def _pipelines(folder: Path, peers: Mapping[str, tuple[str, dict[str, Any]]], size: int) -> Callable[[Any], object]:
    """Draws a request by diffusers' own pipeline, with its own scheduler of that name."""
    import diffusers
    import torch

    options: dict[str, Any] = {"local_files_only": True, "torch_dtype": torch.float32}
    pipeline = diffusers.DiffusionPipeline.from_pretrained(folder, **options)
    pipeline.set_progress_bar_config(disable=True)
    config = pipeline.scheduler.config
    schedulers = {
        name: getattr(diffusers, peer).from_config(config, **settings) for name, (peer, settings) in peers.items()
    }
    lengths = {"max_sequence_length": 24} if "euler" in peers and len(peers) == 1 else {}

    def draw(request: Any) -> object:
        pipeline.scheduler = schedulers[request.scheduler]
        generator = torch.Generator().manual_seed(request.seed)
        steps, guidance = request.steps, request.guidance
        return pipeline(
            request.prompt,
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=generator,
            height=size,
            width=size,
            **lengths,
        )

    return draw


def _timed(ways: Mapping[str, Way], wanted: Sequence[Any], rounds: int) -> dict[str, Any]:
    """The times of each way in seconds, one after the other in every round, and ratios of the least."""
    from _paired import timed

    for way in ways.values():
        way(wanted[:2])  # warm
    times: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in sorted(ways, reverse=bool(number % 2)):
            for taken, seconds in zip((times, cpu), timed(partial(ways[name], wanted)), strict=True):
                taken[name].append(seconds)
    found: dict[str, Any] = {"wall": times, "processor": cpu}
    for kind, taken in list(found.items()):
        ratios = {name: min(seconds) / min(taken["jobs"]) for name, seconds in taken.items() if name != "jobs"}
        found[f"{kind}, ratios"] = ratios
    return found


def table(found: Mapping[str, Any]) -> str:
    """The figures as Markdown: processor time, which a busy machine changes little, and wall time."""
    lines = [", ".join(f"{name} {value}" for name, value in found.get("machine", {}).items() if value is not None)]
    for kind in ("processor", "wall"):
        ways = list(found["rows"][0][kind])
        ratios = [name for name in ways if name != "jobs"]
        heads = [f"{REQUESTS} unlike requests, {kind} time", *(f"{way}, s" for way in ways)]
        heads += [f"{name} / jobs" for name in ratios] + ["the network's own"]
        lines += ["", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
        for row in found["rows"]:
            cells = [row["name"], *(f"{min(row[kind][way]):.1f}" for way in ways)]
            cells += [f"{row[f'{kind}, ratios'][name]:.2f}" for name in ratios] + [f"{row['network'][kind]:.2f}"]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines).lstrip()


if __name__ == "__main__":
    main()
