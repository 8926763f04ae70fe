"""docs/lora.md: every kind of adapter in every family, with the differences that it states."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.lora_table import HEAD, KINDS, MODES, measured, reference_of

PAGE = (Path(__file__).parents[2] / "docs" / "lora.md").read_text(encoding="utf-8")
FAMILIES = ("sd", "sdxl", "sd3", "flux")
TOLERANCE = 1e-5
MACHINES = 4.0
"""By how much rounding may differ on another machine."""


def stated() -> dict[tuple[str, str], list[tuple[str, str]]]:
    """The page's cells by kind and mode: the reference, then the families' differences."""
    found = {}
    for mode, text in zip(MODES, re.split(r"^## \w+$", PAGE, flags=re.MULTILINE)[1:], strict=True):
        for line in re.findall(r"^\| (.+) \|$", text, flags=re.MULTILINE)[1:]:
            kind, reference, *cells = line.split(" | ")
            assert reference == reference_of(kind)
            found[kind, mode] = [tuple(cell.split(", ")) for cell in cells]
    return found


def test_the_page_states_every_kind_in_every_family() -> None:
    assert PAGE.startswith(HEAD)
    assert stated().keys() == {(kind, mode) for kind in KINDS for mode in MODES}
    for cells in stated().values():
        assert len(cells) == len(FAMILIES)
        assert all(float(value) < TOLERANCE for cell in cells for value in cell)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_page_states_what_is_measured(kind: str) -> None:
    cells = stated()
    for row in measured((kind,)):
        denoiser, text = (float(value) for value in cells[kind, row.mode][FAMILIES.index(row.family)])
        assert row.denoiser <= min(TOLERANCE, MACHINES * max(denoiser, 1e-6)), row
        assert row.text_encoders <= min(TOLERANCE, MACHINES * max(text, 1e-6)), row
