"""What 200 installed plugins, five of them broken, cost every command.

Each plugin is a distribution of its own with one scheduler. Times are of whole processes, started in turns with and
without the crowd; the least of several counts, of wall and of processor time::

    python benchmarks/crowd.py [--json]

It needs ``latentry`` alone.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

COMMANDS = (
    *(("--help",), ("--version",), ("schedulers",), ("schedulers", "--json"), ("sigmas",), ("models",)),
    *(("families",), ("attention",), ("guidance",), ("plugins",), ("schedulers", "crowd-7")),
)
BROKEN = (
    "raise RuntimeError('broken')",
    "import nothing_of_this_name",
    "def latentry_schedulers(: pass",
    "1 / 0",
    "hook",
)
"""What stands in the modules of the broken ones; the last registers something else than a record."""
SOUND = """
from latentry import SchedulerSpec, hookimpl

@hookimpl
def latentry_schedulers():
    yield SchedulerSpec(name="{name}", summary="One of many.", target="{module}.scheduler:One")
"""
WRONG = """
from latentry import hookimpl

@hookimpl
def latentry_schedulers():
    yield 7
"""


class Time(NamedTuple):
    """Seconds of one process."""

    wall: float
    processor: float


def write(folder: Path, count: int) -> Path:
    """Puts the crowd into a folder, as pip would install it."""
    for number in range(count):
        name, module = f"crowd-{number}", f"latentry_crowd_{number}"
        broken = BROKEN[number] if number < len(BROKEN) else ""
        text = WRONG if broken == "hook" else broken or SOUND.format(name=name, module=module)
        package, info = folder / module, folder / f"{module}-1.0.dist-info"
        package.mkdir(parents=True)
        info.mkdir()
        (package / "__init__.py").write_text(text)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: latentry-{name}\nVersion: 1.0\nRequires-Dist: latentry>=0.1\n"
        )
        (info / "entry_points.txt").write_text(f"[latentry]\n{name} = {module}\n")
    return folder


def timed(arguments: tuple[str, ...], folder: Path | None) -> Time:
    """Runs a command, which has to end well, with a folder of distributions or without."""
    environment = {**os.environ, "COLUMNS": "80", "LATENTRY_CONFIG": "", "PYTHONPATH": str(folder or "")}
    code = "import sys; from latentry_main import main; sys.exit(main())"
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *arguments], env=environment, capture_output=True, check=False)
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"latentry {' '.join(arguments)} ended with {done.returncode}: {done.stderr.decode()}")
    return Time(wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def measured(folder: Path, repeats: int) -> list[dict[str, object]]:
    """A row for each command."""
    rows: list[dict[str, object]] = []
    for command in COMMANDS:
        times: dict[bool, list[Time]] = {False: [], True: []}
        for _ in range(repeats):
            for crowded in times if command != ("schedulers", "crowd-7") else (True,):
                times[crowded].append(timed(command, folder if crowded else None))
        least = {
            crowded: [min(column) for column in zip(*found, strict=True)] for crowded, found in times.items() if found
        }
        rows.append({"command": " ".join(command), "with": least[True], "without": least.get(False)})
    return rows


def main() -> None:
    """Measures every command and prints a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        rows = measured(write(Path(scratch) / "site", given.count), given.repeats)
    if given.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"| command | without, s | with {given.count} plugins, s | more, s | more of processor time, s |")
    print(f"|{'---|' * 5}")
    for row in rows:
        (wall, processor), before = row["with"], row["without"]  # type: ignore[misc]
        more = "– | –" if before is None else f"{wall - before[0]:.2f} | {processor - before[1]:.2f}"  # type: ignore[index]
        print(f"| {row['command']} | {'–' if before is None else f'{before[0]:.2f}'} | {wall:.2f} | {more} |")


if __name__ == "__main__":
    main()
