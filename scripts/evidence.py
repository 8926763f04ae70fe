"""Measures how near schedulers come to the exact result on the shipped networks; ``--scheduler best`` goes by that.

    python scripts/evidence.py --write [--model NAME ...]    # writes plugins/*/src/*/_evidence.py

Each scheduler runs under its defaults, for the same noises and prompts. The exact result is that of UniPC of order 3 in
32 steps without a guard, even in λ. It takes about a quarter of an hour on one thread.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from latentry import Engine, GenerationRequest, PluginHost, Prediction
from latentry_tune._coefficients import method_of
from latentry_tune._following import distances, finish, follow
from latentry_tune._network import denoiser
from latentry_tune._reference import reference_points
from latentry_unipc import UniPC

ROOT = Path(__file__).parents[1]
SCHEDULERS = ("ddim", "euler", "dpmpp-2m", "unipc", "deis", "ipndm")
STEPS = (5, 8, 12, 20)
CONDITIONS = (
    ("shapes-flux", 3.0),
    ("shapes-sd3", 2.0),
    ("shapes", 1.5),
)
"""Models, each at its own guidance scale."""
PROMPTS = (
    "a red circle on a white background",
    "a blue square on a gray background",
    "a yellow triangle on a black background",
    "a red circle left of a blue square on a white background",
    "a purple circle above a yellow square on a gray background",
    "an orange ring on a black background",
    "a cyan triangle right of a green circle on a white background",
    "a pink diamond below a green cross on a black background",
)
"""Of words that the models were trained on: for others a run has several ends, and the median jumps between them."""
HEAD = '''"""How near {title} comes to the exact result on the shipped networks: made by ``scripts/evidence.py``."""

from __future__ import annotations

from latentry import Evidence

EVIDENCE = (
{rows})
'''


def measured(engine: Engine, model: str, guidance: float) -> Iterator[tuple[str, int, float]]:
    """Scheduler, steps and median distance from the exact result."""
    request = GenerationRequest(prompt=PROMPTS, model=model, guidance=guidance, seed=1, batch=8)
    setup, rows = engine.prepare(request), range(len(PROMPTS))
    process, size = setup.plan.process, (setup.request.width or 0, setup.request.height or 0)
    with engine.network(setup) as network:
        denoise = denoiser(network, 8, lambda count: None)
        x = network.noise(rows) * max(1.0, process.noisiest.sigma)
        points = reference_points(process, 32, setup.checkpoint.shift(*size))
        exact = follow(denoise, method_of(UniPC(order=3, guard=False), process)(points), x, rows).end
        for name in SCHEDULERS:
            for steps in STEPS:
                asked = engine.prepare(request.model_copy(update={"scheduler": name, "steps": steps}))
                end = finish(denoise, replace(asked.plan, prediction=Prediction.X0), x, rows)
                yield name, steps, statistics.median(distances(end, exact).tolist())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--kept", type=Path, help="where figures are kept, so that an interrupted run goes on")
    options = parser.parse_args()
    host = PluginHost()
    engine = Engine(host)
    kept = json.loads(options.kept.read_text()) if options.kept and options.kept.exists() else {}
    for model, guidance in CONDITIONS:
        key = f"{model} {guidance:g}"
        if key not in kept:
            kept[key] = list(measured(engine, model, guidance))
            if options.kept:
                options.kept.write_text(json.dumps(kept))
        print(key, kept[key], flush=True)
    if options.write:
        for name in SCHEDULERS:
            write(host, name, kept)


def write(host: PluginHost, name: str, kept: dict[str, list[tuple[str, int, float]]]) -> None:
    """One scheduler's figures into its package."""
    rows = []
    for model, guidance in CONDITIONS:
        found = [(steps, float(f"{error:.2g}")) for each, steps, error in kept[f"{model} {guidance:g}"] if each == name]
        kind = host.families[host.checkpoints[model].family].process
        errors = ", ".join(f"({steps}, {error})" for steps, error in found)
        rows.append(f'    Evidence("{kind}", "{model}", {guidance}, ({errors})),\n')
    spec = host.schedulers[name]
    package = spec.target.partition(".")[0]
    title = spec.target.rpartition(":")[2]
    file = ROOT / "plugins" / package.replace("_", "-") / "src" / package / "_evidence.py"
    file.write_text(HEAD.format(title=title, rows="".join(rows)), encoding="utf-8")


if __name__ == "__main__":
    main()
