"""Every claim of ``docs/differences.md`` names tests that exist, and the records and the page speak of the same."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "differences.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| what")]


def defined() -> set[str]:
    """The tests of the workspace."""
    files = [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "core" / "tests").rglob("test_*.py")]
    return {name for file in files for name in re.findall(r"^ *def (test_\w+)", file.read_text(encoding="utf-8"), re.M)}


def test_every_row_names_tests_that_exist() -> None:
    there = defined()
    assert len(ROWS) > 25
    for row in ROWS:
        named = re.findall(r"`(test_\w+)`", row.split("|")[-2])
        assert named, row
        assert set(named) <= there, row


def test_every_option_it_names_is_one() -> None:
    from latentry import PluginHost

    host = PluginHost()
    options = {field for name in host.schedulers for field in host.schedulers.load(name).model_fields}
    for row in ROWS:
        here = row.split("|")[3]
        assert set(re.findall(r"`(\w+)=[^`\"]+`", here)) <= options, row
