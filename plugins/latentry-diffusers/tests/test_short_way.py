"""Opening a checkpoint reads configurations and headers first, then matches them: control rarely goes back."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

from latentry import ModelFiles
from latentry_diffusers.bundle.open import open_bundle

FUNCTIONS, RETURNS = 28, 14
"""At most this many for a folder of three networks; before the headers were read together there were 28 returns."""


def called(action: Callable[[], Any]) -> list[CodeType]:
    """The functions of Latentry's packages that an action calls, in order; no module bodies or comprehensions."""
    found: list[CodeType] = []

    def note(frame: FrameType, event: str, argument: object) -> None:
        parts = Path(frame.f_code.co_filename).parts
        ours = any(part == "latentry" or part.startswith("latentry_") for part in parts)
        name = frame.f_code.co_name
        if event == "call" and ours and (not name.startswith("<") or name == "<lambda>"):
            found.append(frame.f_code)

    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(None)
    return found


def returns(calls: list[CodeType]) -> int:
    """How often a call goes to a file that calls had left before."""
    files = [call.co_filename for call in calls]
    seen, count = {files[0]}, 0
    for before, now in pairwise(files):
        count += now != before and now in seen
        seen.add(now)
    return count


def test_a_folder_is_opened_the_short_way() -> None:
    shapes, parts, variants = (
        pytest.importorskip(f"latentry_{name}") for name in ("shapes", "sd.parts", "sd.variants")
    )
    files = ModelFiles(shapes.folder())
    specs, published = parts.specs("sd15"), variants.published("sd15")
    open_bundle(ModelFiles(shapes.folder()), specs, published)  # imports what is imported on use
    calls = called(lambda: open_bundle(files, specs, published))
    assert (len(set(calls)) <= FUNCTIONS, returns(calls) <= RETURNS) == (True, True), (len(set(calls)), returns(calls))


def test_what_a_detector_read_is_not_read_again() -> None:
    shapes, parts, variants = (
        pytest.importorskip(f"latentry_{name}") for name in ("shapes", "sd.parts", "sd.variants")
    )
    files = ModelFiles(shapes.folder())
    open_bundle(files, parts.specs("sd15"), variants.published("sd15"))
    calls = called(lambda: open_bundle(files, parts.specs("sd15"), variants.published("sd15")))
    assert not any(call.co_filename.endswith("safetensors_file.py") for call in calls)
