"""No message tells someone to run a command that fails: nothing of this repository is on a package index yet."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from support.distributions import CORE
from support.scripts import script

from latentry._peers import _install
from latentry._peers._install import how_to_install

DIRECTORY = script("directory")
ROOT = CORE.parent
SOURCES = [*(CORE / "src").rglob("*.py"), *(ROOT / "plugins").glob("*/src/**/*.py")]
PLUGINS = DIRECTORY.projects()


APART = {
    "_install.py": "says what to install for all others; below it is tried",
    "_one_record.py": "names an extra of an attention backend that is installed, which pip finds without an index",
}
PIP = re.compile(r"""pip install (?!``)(?:-[\w-]+ )*['"]?([^\s,;`'"]*)""")
"""What pip is to install, after its options."""


def commands(source: str) -> list[str]:
    """What pip is to install according to the strings of a module."""
    texts = [
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return [found for text in texts for found in PIP.findall(text)]


def works(wanted: str) -> bool:
    """Whether it is an extra of the plugin that says it, which is installed then, or a package of somebody else's."""
    return wanted.endswith("[cuda]") or not re.match("latentry|$", wanted)


def test_strings_name_only_what_pip_finds() -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in SOURCES if path.name not in APART}
    found = {path: [wanted for wanted in commands(text) if not works(wanted)] for path, text in sources.items()}
    assert {str(path): wanted for path, wanted in found.items() if wanted} == {}


@pytest.mark.parametrize(
    "text", ["'pip install latentry-ddim'", "f'Run pip install --upgrade {x}'", "f'pip install {x}'"]
)
def test_such_a_string_is_noticed(text: str) -> None:
    assert [works(wanted) for wanted in commands(text)] == [False]


@pytest.mark.parametrize("name", PLUGINS)
def test_what_a_message_says_to_install_is_whole_and_in_order(name: str) -> None:
    """pip looks for nothing of ours on the index: each path is there, and comes after what it needs."""
    command, _, where = how_to_install(name).partition(" in ")
    paths = command.removeprefix("pip install ").split()
    assert where == "a clone of Latentry's repository"
    assert [(ROOT / path / "pyproject.toml").is_file() for path in paths] == [True] * len(paths)
    given = [Path(path).name for path in paths]
    assert given[-1] == name
    for place, each in enumerate(given):
        ours = {Requirement(text).name for text in PLUGINS[each]["dependencies"]} & set(PLUGINS)
        assert ours <= set(given[:place])


def test_on_an_index_the_name_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_install, "ON_AN_INDEX", True)
    assert how_to_install("latentry-sdxl") == "pip install latentry-sdxl"


def test_a_strangers_distribution_is_named_without_a_command() -> None:
    assert how_to_install("someones-plugin") == "install someones-plugin"


def test_the_directory_is_that_of_the_repository() -> None:
    """``python scripts/directory.py --write`` renews it."""
    written = DIRECTORY.written()
    assert {path.name: path.read_text(encoding="utf-8") for path in written} == {
        path.name: text for path, text in written.items()
    }
