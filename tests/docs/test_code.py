"""The code of the documentation: Python is run page by page, commands are parsed; others run those that draw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from support.pages import PAGES, ROOT, blocks, command_lines

from latentry._cli._app import app
from latentry._cli._global_options import GlobalOptions, take_global_options

ELSEWHERE = {"tutorial.md", "plugin-kinds.md"}
"""Pages that a test of their own follows: test_tutorial.py here, and tests/discovery/test_kinds.py."""
PYTHON = [page for page in PAGES if page.name not in ELSEWHERE and any(b.language == "python" for b in blocks(page))]
COMMANDS = sorted({words for page in PAGES for words in command_lines(page)})


@pytest.mark.slow
@pytest.mark.parametrize("page", PYTHON, ids=lambda page: page.name)
def test_the_python_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one namespace from top to bottom; a block with a title is that file. Asserts in it hold."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    namespace: dict[str, Any] = {"__name__": "page"}
    for number, block in enumerate(blocks(page)):
        if block.language == "python" and block.title:
            (tmp_path / block.title).write_text(block.text, encoding="utf-8")
        elif block.language == "python" and not block.why:
            exec(compile(block.text, f"{page.name}, block {number}", "exec"), namespace)


def test_few_blocks_are_not_run_and_each_says_why() -> None:
    left_out = [block.why for page in PAGES for block in blocks(page) if block.why]
    assert len(left_out) <= 6, left_out
    assert all(len(why) > 10 for why in left_out)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_of_the_documentation_is_understood(words: tuple[str, ...]) -> None:
    """Its sub-command exists and takes these options."""
    options, rest = take_global_options(words)
    context = click.Context(app, info_name="latentry", obj=options)
    name, command, arguments = app.resolve_command(context, rest)
    assert command is not None
    command.make_context(name, arguments, parent=context)


@pytest.mark.parametrize("words", [("generate", "a", "--stepz", "3"), ("draw",)])
def test_a_wrong_command_is_noticed(words: tuple[str, ...]) -> None:
    context = click.Context(app, info_name="latentry", obj=GlobalOptions())
    with pytest.raises(click.UsageError):
        name, command, arguments = app.resolve_command(context, list(words))
        assert command is not None
        command.make_context(name, arguments, parent=context)


def test_pages_are_found() -> None:
    assert {"README.md", "index.md", "embedding.md"} <= {page.name for page in PAGES}
    assert len(COMMANDS) > 30
    assert (ROOT / "docs").is_dir()
