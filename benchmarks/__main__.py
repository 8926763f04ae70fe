"""Latentry beside diffusers around the same networks: every figure of the pages, by one command.

Everything is a ratio of two ways that were timed in turn on the same machine, with its spread. It needs the shipped
models, and takes ten minutes to half an hour on a machine that does nothing else; ``--quick`` takes
fewer models and rounds, and the smallest checkpoint::

    python benchmarks                      # or: tox -e bench
    python benchmarks --quick --json
    python benchmarks warm --rounds 20 --json
    python benchmarks warm --capture auto
    python benchmarks steps loading
    python benchmarks --write              # renews the tables of the pages, where a part has one
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from _parts import PARTS, Part

ROOT = Path(__file__).parents[1]
PAGES = ("docs/speed.md", "docs/memory.md", "benchmarks/README.md", "README.md")
SUMMARY = ("warm", "captured", "first")
"""The parts of the README's line."""
CAPTURES = ("off", "auto", "graph", "script", "compile")


def main() -> None:
    """Measures what was asked for, and prints it."""
    given = parsed()
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["OMP_NUM_THREADS"] = str(given.threads)
    found = measure(given)
    tables = {name: PARTS[name].table(found[name]) for name in PARTS if name in found}
    if given.write:
        write(found, tables)
    print(json.dumps(found, indent=2) if given.json else "\n\n".join([about(found), *tables.values()]))


def parsed() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="fewer models and rounds, and the smallest checkpoint")
    parser.add_argument("--model", nargs="+", help="shipped models, of the parts that take turns with several")
    parser.add_argument(
        "--rounds", type=int, help="pairs of each; a third for the first picture; 10, or 3 with --quick"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--same-prompt", action="store_true", help="so that our encoded prompts are used again")
    parser.add_argument("--capture", choices=CAPTURES, default="off", help="of the warm part")
    parser.add_argument("--fast", action="store_true", help="additions in another order, in the warm part")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {', '.join(PAGES)}")
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"unknown part {', '.join(sorted(unknown))}")
    given.parts = given.parts or list(PARTS)
    given.rounds = given.rounds or (3 if given.quick else 10)
    return given


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """The rows of each part, and the machine."""
    import torch
    from _paired import machine

    torch.set_num_threads(given.threads)
    found: dict[str, Any] = {"machine": machine(given.threads)}
    for name in given.parts:
        print(f"measuring {name}", file=sys.stderr, flush=True)
        part: Part = PARTS[name]
        found[name] = part.measure(given)
    return found


def about(found: Mapping[str, Any]) -> str:
    """The machine in one line."""
    return ", ".join(f"{name} {value}" for name, value in found["machine"].items() if value is not None)


def write(found: Mapping[str, Any], tables: Mapping[str, str]) -> None:
    """Renews the pages' blocks, each with the machine that its figures are of."""
    blocks = {name: f"{about(found)}\n\n{text}" for name, text in tables.items()}
    if all(name in found for name in SUMMARY):
        blocks["summary"] = summary(found)
    for page in PAGES:
        path = ROOT / page
        path.write_text(renewed(path.read_text(encoding="utf-8"), blocks), encoding="utf-8")


def summary(found: Mapping[str, Any]) -> str:
    """The README's line."""
    mean = {name: sum(row["median"] for row in found[name]) / len(found[name]) for name in SUMMARY}
    return (
        f"- **Fast.** Around the same networks a warm picture takes {mean['captured']:.2f} of diffusers' time, "
        f"{mean['warm']:.2f} before\n  the network's calls are known (the first two of a kind), and the first one of a "
        f"process {mean['first']:.2f} ([figures](docs/speed.md))."
    )


def renewed(page: str, blocks: Mapping[str, str]) -> str:
    """A page with the blocks that it has in place of its own."""
    for name, text in blocks.items():
        begin, end = f"<!-- benchmarks: {name} -->\n", f"\n<!-- end of {name} -->"
        before, found, rest = page.partition(begin)
        if found:
            page = f"{before}{begin}{text}{end}{rest.partition(end)[2]}"
    return page


if __name__ == "__main__":
    main()
