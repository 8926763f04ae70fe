"""The parts of ``python benchmarks``: what each measures, and its table."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

Rows = list[dict[str, Any]]
LOADED = (("sd15", "float16", "float16"), ("sd15", "float16", "float32"), ("sdxl", "float16", "float16"))
"""Sizes, dtypes of files, and what they run in; the quick way takes the first."""


class Part(NamedTuple):
    """One part.

    Attributes:
        measure: its rows, by what was asked for.
        table: those as Markdown.
    """

    measure: Callable[[argparse.Namespace], Rows]
    table: Callable[[Rows], str]


def warm(given: argparse.Namespace, **how: Any) -> Rows:
    """A warm picture in both; ``how`` in place of what was asked for."""
    import _warm

    from latentry import MemoryPolicy

    asked = {"same_prompt": given.same_prompt, "fast": given.fast, "capture": given.capture, **how}
    policy = MemoryPolicy(capture=asked.pop("capture"))
    return list(_warm.measure(_models(given, _warm.MODELS), given.rounds, policy=policy, **asked))


def fast(given: argparse.Namespace) -> Rows:
    """With additions in another order."""
    return warm(given, fast=True, capture="off")


def captured(given: argparse.Namespace) -> Rows:
    """As graphs."""
    return warm(given, fast=False, capture="graph")


def first(given: argparse.Namespace) -> Rows:
    """From the start of a process."""
    import _first

    return [_first.measure("shapes", max(given.rounds // 3, 3), given.threads)]


def steps(given: argparse.Namespace) -> Rows:
    """Beside the network."""
    import steps

    return list(steps.measured(list(steps.PEERS), 5 if given.quick else 30))


def loading(given: argparse.Namespace) -> Rows:
    """Of full size."""
    import loading

    found = []
    for size, stored, dtype in LOADED[:1] if given.quick else LOADED:
        words = ["--size", size, "--stored", stored, "--dtype", dtype, "--repeats", "1"]
        found.append(loading.measured(loading.parser().parse_args(words)))
    return found


def weights(given: argparse.Namespace) -> Rows:
    """In fewer bits."""
    import weights

    return list(weights.measured(_models(given, weights.MODELS)))


def step_caches(given: argparse.Namespace) -> Rows:
    """Of all families that have a shipped model."""
    import step_caches

    return list(step_caches.measured(_models(given, step_caches.MODELS), 1 if given.quick else 3))


def together(given: argparse.Namespace) -> Rows:
    """Many requests at once."""
    import together

    return list(together.by_model(_models(given, together.MODELS), 1 if given.quick else 3))


def _models(given: argparse.Namespace, usual: Sequence[str]) -> tuple[str, ...]:
    """Those that were named; the quick way takes a UNet and a transformer."""
    return tuple(given.model or ([usual[0], usual[-1]] if given.quick else usual))


def _warm_table(title: str) -> Callable[[Rows], str]:
    def table(rows: Rows) -> str:
        from _paired import table

        mean, least = (sum(row[key] for row in rows) / len(rows) for key in ("median", "of_minima"))
        apart = max(row["latents_apart"] for row in rows)
        return f"{table(title, rows, 'ms', 1000)}\n\nMean of the medians {mean:.2f}, of the ratios of minima " + (
            f"{least:.2f}; latents apart {apart:.1e}."
        )

    return table


def _first_table(rows: Rows) -> str:
    from _paired import table

    return table("the first picture, 25 steps", rows, "ms", 1000)


def _own_table(module: str) -> Callable[[Any], str]:
    def table(rows: Any) -> str:
        from importlib import import_module

        made: str = import_module(module).table(rows)
        return made

    return table


PARTS: Mapping[str, Part] = {
    "warm": Part(warm, _warm_table("a warm picture, 20 steps")),
    "fast": Part(fast, _warm_table("a warm picture with `--fast`, 20 steps")),
    "captured": Part(captured, _warm_table("a warm picture with `--capture graph`, 20 steps")),
    "first": Part(first, _first_table),
    "steps": Part(steps, _own_table("steps")),
    "loading": Part(loading, lambda rows: "\n\n".join(map(_own_table("loading"), rows))),
    "weights": Part(weights, _own_table("weights")),
    "step-caches": Part(step_caches, _own_table("step_caches")),
    "together": Part(together, lambda rows: _own_table("together")({"rows": rows})),
}
