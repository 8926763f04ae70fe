"""Latentry beside diffusers around the same networks: a warm generation, and the first picture of a process.

Everything is a ratio of two ways that were timed in turn on the same machine, with its spread. It needs the shipped
models; on a machine that does nothing else it takes five minutes::

    python benchmarks                      # or: tox -e bench
    python benchmarks warm --rounds 20 --json
    python benchmarks warm --capture script
    python benchmarks warm --fast
    python benchmarks --write              # renews the tables of docs/speed.md
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "speed.md"
BEGIN, END = "<!-- benchmarks: python benchmarks --write -->", "<!-- end of benchmarks -->"
PARTS = ("warm", "first")


def main() -> None:
    """Measures what was asked for, and prints it."""
    parser = argparse.ArgumentParser(prog="python benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {' and '.join(PARTS)}; both by default")
    parser.add_argument("--model", nargs="+", help="shipped models of the warm part; all four by default")
    parser.add_argument("--rounds", type=int, default=10, help="pairs of each; a third of them for the first picture")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--same-prompt", action="store_true", help="so that our encoded prompts are used again")
    parser.add_argument("--capture", choices=("off", "script", "compile"), default="off", help="of the warm part")
    parser.add_argument("--fast", action="store_true", help="additions in another order, in the warm part")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.name}")
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"unknown part {', '.join(sorted(unknown))}")
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["OMP_NUM_THREADS"] = str(given.threads)
    found = measure(given)
    text = page(found)
    if given.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    print(json.dumps(found, indent=2) if given.json else text)


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """The rows of each part, and the machine."""
    import _first
    import _warm
    import torch
    from _paired import machine

    from latentry import MemoryPolicy

    torch.set_num_threads(given.threads)
    parts = given.parts or PARTS
    found: dict[str, Any] = {"machine": machine(given.threads)}
    if "warm" in parts:
        policy = MemoryPolicy(capture=given.capture)
        names = tuple(given.model or _warm.MODELS)
        how = {"same_prompt": given.same_prompt, "fast": given.fast, "policy": policy}
        found["warm"] = list(_warm.measure(names, given.rounds, **how))
    if "first" in parts:
        found["first"] = [_first.measure("shapes", max(given.rounds // 3, 3), given.threads)]
    return found


def page(found: dict[str, Any]) -> str:
    """The figures as Markdown."""
    from _paired import table

    lines = [", ".join(f"{name} {value}" for name, value in found["machine"].items() if value is not None), ""]
    if warm := found.get("warm"):
        lines += [table("a warm picture, 20 steps", warm, "ms", 1000), ""]
        mean, least = (sum(row[key] for row in warm) / len(warm) for key in ("median", "of_minima"))
        apart = max(row["latents_apart"] for row in warm)
        lines += [
            f"Mean of the medians {mean:.2f}, of the ratios of minima {least:.2f}; latents apart {apart:.1e}.",
            "",
        ]
    if first := found.get("first"):
        lines += [table("the first picture, 25 steps", first, "ms", 1000), ""]
    return "\n".join(lines).rstrip()


if __name__ == "__main__":
    main()
