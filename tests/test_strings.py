"""What a person can read is plain English. ``python scripts/strings.py`` lists it all."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
COMPARED = (
    r"longer|more|less|larger|smaller|slower|faster|better|worse|greater|higher|lower|later|earlier|nearer|further"
)
GERMAN = re.compile(
    rf"(?<!there )\b(?:is|are|was|were|be|been) no (?!(?:{COMPARED}|exception|guidance)\b)", re.IGNORECASE
)
"""As in German, where English has "is not a". "There is no", "is no longer" and "1 is no guidance" are English."""


@pytest.fixture(scope="module")
def strings() -> ModuleType:
    """scripts/strings.py."""
    spec = importlib.util.spec_from_file_location("strings", ROOT / "scripts" / "strings.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_nothing_is_negated_as_in_german(strings: ModuleType) -> None:
    found = [f"{text.path}:{text.line}: {text.text}" for text in strings.texts() if GERMAN.search(text.text)]
    assert found == []


@pytest.mark.parametrize(
    "text", ["It is no PNG file.", "they are no factors", "a file that is no picture", "was no LoRA"]
)
def test_the_rule_finds(text: str) -> None:
    assert GERMAN.search(text)


@pytest.mark.parametrize(
    "text", ["There is no file.", "It is no longer here.", "It is not a PNG file.", "1 is no guidance."]
)
def test_the_rule_passes(text: str) -> None:
    assert not GERMAN.search(text)


def test_every_kind_of_string_is_collected(strings: ModuleType, tmp_path: Path) -> None:
    """From a small repository whose strings are known."""
    code = (
        '"""Module."""\nX = 1\n"""Attribute."""\n\ndef test_it(n):\n    raise ValueError(f"{n} of the\\n    words")\n'
    )
    (tmp_path / "code.py").write_text(code, encoding="utf-8")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_code.py").write_text(
        'def test_a_thing():\n    "Says so."\n    "not a string to read"\n'
    )
    (tmp_path / "PAGE.md").write_text("# Title\n\nOne\nparagraph.\n\n```\ncode is left out\n```\n", encoding="utf-8")
    strings.subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    assert set(strings.texts(tmp_path)) == {
        ("docstring", "code.py", 1, "Module."),
        ("docstring", "code.py", 3, "Attribute."),
        ("test", "code.py", 5, "test it"),
        ("message", "code.py", 6, "{…} of the words"),
        ("test", "tests/test_code.py", 1, "test a thing"),
        ("docstring", "tests/test_code.py", 2, "Says so."),
        ("docstring", "tests/test_code.py", 3, "not a string to read"),
        ("page", "PAGE.md", 1, "# Title"),
        ("page", "PAGE.md", 3, "One paragraph."),
    }
