"""Two ways to do one thing, timed in turn, and their ratio with its spread."""

from __future__ import annotations

import gc
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

LIBRARIES = ("torch", "diffusers", "transformers", "numpy")


@dataclass(frozen=True)
class Paired:
    """Times of two ways in seconds, one pair a round.

    The machine may be busy with other things. They can only add to a time, so the ratio of the smallest times is the
    steadiest figure where it is nearly idle. On a busy one no time is undisturbed: the median and the quartiles of the
    rounds' ratios say more.

    Attributes:
        ours: wall time.
        theirs: likewise.
        ours_cpu: processor time of all threads.
        theirs_cpu: likewise.
    """

    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    ours_cpu: tuple[float, ...]
    theirs_cpu: tuple[float, ...]

    def row(self) -> dict[str, Any]:
        """The figures as JSON."""
        ratios = [ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True)]
        low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        return {
            "ours": min(self.ours),
            "theirs": min(self.theirs),
            "of_minima": min(self.ours) / min(self.theirs),
            "median": statistics.median(ratios),
            "quartiles": [low, high],
            "cpu_of_minima": min(self.ours_cpu) / min(self.theirs_cpu),
            "times": asdict(self),
        }


def paired(ours: Callable[[], object], theirs: Callable[[], object], rounds: int, *, warm: int = 1) -> Paired:
    """Times two functions, one right after the other and the first one in turn.

    Args:
        ours: one way.
        theirs: the other.
        rounds: how often each is timed.
        warm: calls of each before.
    """
    for _ in range(warm):
        ours(), theirs()
    times: dict[Callable[[], object], list[tuple[float, float]]] = {ours: [], theirs: []}
    for number in range(rounds):
        for way in (ours, theirs) if number % 2 else (theirs, ours):
            times[way].append(timed(way))
    wall, cpu = ([tuple(pair[i] for pair in times[way]) for way in (ours, theirs)] for i in (0, 1))
    return Paired(wall[0], wall[1], cpu[0], cpu[1])


def timed(function: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor time of one call in seconds; garbage of earlier calls is collected before, and none during."""
    gc.collect()
    gc.disable()
    try:
        begin, begin_cpu = time.perf_counter(), time.process_time()
        function()
        return time.perf_counter() - begin, time.process_time() - begin_cpu
    finally:
        gc.enable()


def machine(threads: int) -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    names = [line for line in cpuinfo.read_text().splitlines() if "model name" in line] if cpuinfo.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.processor() or platform.machine()


def table(title: str, rows: Sequence[Mapping[str, Any]], unit: str, factor: float) -> str:
    """Rows as Markdown, times in a unit of ``1 / factor`` seconds."""
    ratios = "median of the rounds' ratios | quartiles | ratio of the minima | of processor time"
    lines = [f"| {title} | latentry, {unit} | diffusers, {unit} | {ratios} |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        low, high = row["quartiles"]
        times = f"{row['ours'] * factor:,.0f} | {row['theirs'] * factor:,.0f}"
        ratios = f"{row['median']:.2f} | {low:.2f} to {high:.2f} | {row['of_minima']:.2f} | {row['cpu_of_minima']:.2f}"
        lines.append(f"| {row['name']} | {times} | {ratios} |")
    return "\n".join(lines)
