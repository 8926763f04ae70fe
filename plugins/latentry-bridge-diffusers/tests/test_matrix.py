"""The page of schedulers and programs: what it says beside what the records promise."""

from __future__ import annotations

import re
from pathlib import Path

from latentry import PluginHost

PAGE = Path(__file__).resolve().parents[3] / "docs" / "bridge-matrix.md"


def test_every_cell_of_a_pipeline_is_as_promised_and_every_refusal_has_its_reason() -> None:
    """One evaluation: every mode. More: where nothing blends. None where it is adaptive or needs another answer."""
    host, page = PluginHost(), PAGE.read_text(encoding="utf-8")
    lines = (line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| "))
    rows = {name: cells for name, *cells in lines if name != "scheduler"}
    assert list(rows) == list(host.schedulers)
    for name, cells in rows.items():
        spec = host.schedulers[name]
        for column, cell in enumerate(cells[:9]):
            kind, blends = "vp" if column < 3 else "flow", column % 3 == 2
            fits = kind in spec.processes and not spec.adaptive and not spec.needs
            assert (cell == "yes") == (fits and not (blends and spec.evaluations > 1)), (name, column)
    used = {cell for cells in rows.values() for cell in cells if cell != "yes"}
    assert used == set(re.findall(r"^(\d+)\. .{20}", page, re.MULTILINE))
