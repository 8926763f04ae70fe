"""How large the core is, and how much of the code one generation goes through.

``python scripts/counts.py`` counts files, lines and modules; with ``--generate`` it also draws a picture of the shipped
model and counts the functions that were called, in the core and in the plugins. Times are measured with whatever else
the machine is doing.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

LISTING = "import sys; from latentry._cli import main; sys.exit(main(['schedulers', '--json']))"
MODULES = "import sys; before = set(sys.modules); import latentry; print(len(set(sys.modules) - before))"


def core() -> tuple[int, int]:
    """Files and lines of the installed core."""
    import latentry

    texts = [path.read_text(encoding="utf-8") for path in Path(latentry.__file__).parent.rglob("*.py")]
    return len(texts), sum(text.count("\n") for text in texts)


def seconds(code: str, times: int = 5) -> float:
    """The median time of a new Python that runs some code."""

    def took(text: str) -> float:
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", text], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - begin

    return statistics.median(took(code) for _ in range(times))


def called(action: Callable[[], Any]) -> set[CodeType]:
    """The functions of Latentry's packages that an action calls, in any thread; no module bodies or comprehensions."""
    found: set[CodeType] = set()

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            found.add(frame.f_code)

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return {code for code in found if _ours(code)}


def _ours(code: CodeType) -> bool:
    inside = any(part == "latentry" or part.startswith("latentry_") for part in Path(code.co_filename).parts)
    return inside and (not code.co_name.startswith("<") or code.co_name == "<lambda>")


def generate() -> None:
    """One picture with all defaults."""
    from latentry import Engine, GenerationRequest, PluginHost

    Engine(PluginHost()).generate(GenerationRequest(prompt="a red circle left of a blue square", seed=7))


def main() -> None:
    """Print the counts."""
    files, lines = core()
    print(f"core: {files} files, {lines} lines")
    print(f"import latentry: {seconds('import latentry'):.3f} s, a bare Python takes {seconds('pass'):.3f} s")
    modules = subprocess.run([sys.executable, "-c", MODULES], check=True, capture_output=True, text=True).stdout.strip()
    print(f"import latentry: {modules} modules")
    print(f"latentry schedulers --json: {seconds(LISTING):.3f} s")
    if "--generate" in sys.argv[1:]:
        functions = called(generate)
        print(f"a generation: {len(functions)} functions in {len({code.co_filename for code in functions})} files")


if __name__ == "__main__":
    main()
