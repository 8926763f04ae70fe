"""Errors: their parts, and text from outside that reaches a terminal through them."""

from __future__ import annotations

import ast
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentry import ModelError, OptionError
from latentry import _errors as errors
from latentry._errors import counted, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a red circle", "a red circle"),
        ("σ = 0, Größe, 円, 👩\u200d🎨", "σ = 0, Größe, 円, 👩\u200d🎨"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x9b2J", "\\x9b2J"),
        ("a\rb\nc\x00", "a\\rb\\nc\\x00"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\ud800", "\\ud800"),
        ("\u2028", "\\u2028"),
    ],
)
def test_control_characters_are_made_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text(st.characters(codec=None)))
def test_what_is_shown_can_be_printed_and_steers_nothing(text: str) -> None:
    shown = visible(text)
    shown.encode("utf-8")
    assert not {unicodedata.category(c) for c in shown if c not in "\u200c\u200d"} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert visible(shown) == shown


def test_an_error_shows_foreign_text_and_keeps_its_own_lines() -> None:
    error = ModelError("There is no model '\x1b]0;title\x07'.", why="One.\nTwo.", remedy="\x1b[2J")
    assert str(error) == "There is no model '\\x1b]0;title\\x07'.\nOne.\nTwo.\n\\x1b[2J"


def test_nouns_follow_their_number() -> None:
    assert [counted(number, "step") for number in (0, 1, 2)] == ["0 steps", "1 step", "2 steps"]


def test_an_error_has_a_field_and_a_code_of_its_class() -> None:
    assert (OptionError("No.", field="steps").field, OptionError("No.").code, ModelError("No.").code) == (
        "steps",
        "option",
        "model",
    )


def test_messages_of_the_library_name_no_option_of_the_command_line() -> None:
    """A web service shows them as well; the command line adds how things are typed there."""
    option, own = re.compile(r"(?<![\w-])--[a-z][a-z-]+"), Path(errors.__file__).parent
    found = []
    for path in own.rglob("*.py"):
        if path.relative_to(own).parts[0] in ("_cli", "testing", "__main__.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg in ("remedy", "why"):
                text = ast.unparse(node.value)
                found += [f"{path.name}: {text}"] if option.search(text) else []
    assert found == []
