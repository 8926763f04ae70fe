"""What is printed: nothing from outside steers a terminal, and every output can take it."""

from __future__ import annotations

import json
from io import StringIO

import pytest

from latentry import LatentryError
from latentry._cli._printing._messages import message
from latentry._cli._printing._output import print_block, print_json, print_table, say
from latentry._cli._printing._streams import print_message

HOSTILE = "a\x1b[31mred\x1b]0;title\x07\x9b2J\u202etxt\x7f"


def steers(text: str) -> bool:
    return any(letter in text for letter in "\x1b\x07\x9b\u202e\x7f")


def test_nothing_that_is_printed_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say(HOSTILE)
    print_block(HOSTILE, {"summary": HOSTILE, "aliases": [HOSTILE], "options": {"a": HOSTILE}})
    print_table(["name"], [[HOSTILE]])
    print_json({"summary": HOSTILE, HOSTILE: "\udc80"})
    shown = capsys.readouterr().out
    assert not steers(shown)
    assert shown.count("red") >= 7


def test_json_means_the_same_with_its_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"summary": HOSTILE, "plain": "ü 紅 😀 \n", HOSTILE: "\udc80", "astral": "\U000e0041"}
    print_json(value)
    shown = capsys.readouterr().out
    assert json.loads(shown) == value
    assert "ü 紅 😀" in shown


@pytest.mark.parametrize("error", [LatentryError(HOSTILE, why=HOSTILE, remedy=HOSTILE), RuntimeError(HOSTILE)])
def test_no_message_steers_the_terminal(error: Exception) -> None:
    assert not steers(message(error))
    assert message(error).startswith("error: ")


def test_a_newline_from_outside_does_not_forge_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_block("title", {"summary": "fine\nerror: forged"})
    assert capsys.readouterr().out.splitlines() == ["title", "  summary: fine\\nerror: forged"]


@pytest.mark.parametrize("terminal", [True, False])
def test_messages_break_between_words_in_a_terminal_and_nowhere_in_a_pipe(
    monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    class Stream(StringIO):
        def isatty(self) -> bool:
            return terminal

    stream, path = Stream(), "/a/long/path-that/" + "x" * 90
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("COLUMNS", "80")
    said = f"error: {'word ' * 30}end.\n  Look at {path} for more-words-with-dashes and {'more ' * 20}too."
    print_message(said)
    lines = stream.getvalue().splitlines()
    assert " ".join(stream.getvalue().split()) == " ".join(said.split())
    assert (said + "\n" == stream.getvalue()) != terminal
    assert all(len(line) <= 80 or path in line for line in lines) == terminal
    assert all(line.startswith("  ") for line in lines[1:])
