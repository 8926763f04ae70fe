"""docs/formats.md: every format in every family, with the differences that it states."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from support.format_table import FAMILIES, FORMATS, HEAD, difference, measured

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
TOLERANCE = 1e-5
MACHINES = 4.0
"""By how much rounding may differ on another machine."""


def stated() -> dict[str, list[float]]:
    """The page's differences by format, in the order of the families."""
    found = {}
    for line in re.findall(r"^\| (.+) \|$", PAGE, flags=re.MULTILINE)[1:]:
        name, reference, *cells = line.split(" | ")
        assert reference == FORMATS[name].reference
        found[name] = [float(cell) for cell in cells]
    return found


def test_the_page_states_every_format_in_every_family() -> None:
    assert PAGE.startswith(HEAD)
    assert list(stated()) == list(FORMATS)
    for cells in stated().values():
        assert len(cells) == len(FAMILIES)
        assert max(cells) < TOLERANCE


def test_a_wrong_value_would_be_seen(tmp_path: Path) -> None:
    """Zeros would also be measured if both sides read the same wrong thing."""
    family, plain = FAMILIES["sd"], FORMATS["`scaled_fp8`, one scale"]
    folder = family.write(tmp_path / "sd")

    def unscaled(path: Path, tensors: Any) -> Any:
        file, values = plain.write(path, tensors)
        name = next(name for name in values if name.endswith("to_q.weight"))
        return file, {**values, name: 2 * values[name]}

    assert difference("sd", folder, plain, tmp_path / "a") < TOLERANCE
    assert difference("sd", folder, plain._replace(write=unscaled), tmp_path / "b") > 100 * TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_the_page_states_what_is_measured(family: str) -> None:
    column = list(FAMILIES).index(family)
    for row in measured(families=(family,)):
        assert row.difference <= min(TOLERANCE, MACHINES * max(stated()[row.format][column], 1e-6)), row
