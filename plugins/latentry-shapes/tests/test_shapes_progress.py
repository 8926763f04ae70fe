"""Progress is a bar on a terminal and plain lines elsewhere."""

from __future__ import annotations

import pytest

from latentry_shapes._progress import progress


def count(start: int, total: int) -> None:
    with progress("counting", start, total) as report:
        for done in range(start + 1, total + 1):
            report(done, f"loss {done / 10}")


def test_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    count(2, 5)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "counting 5/5 loss 0.5, 0.0 min left\n"


def test_a_bar_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    count(2, 5)
    shown = capsys.readouterr().err
    assert "counting" in shown
    assert "5/5" in shown
    assert "\x1b[" in shown
