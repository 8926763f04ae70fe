"""Options of the commands that draw: those of a request and of the memory policy, and of a folder of results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from pathlib import Path
from typing import Any

import click

from latentry._cli._common_options import complete_files
from latentry._cli._field_options import FieldOption, PanelOption, options_of
from latentry._request._values._option import Panel

POLICY = ("offload", "blocks_per_group", "prefetch")
"""Fields of the memory policy that are options; its others are fields of a request too."""


def request_options(without: Set[str] = frozenset()) -> Iterator[FieldOption]:
    """The options of a request's fields, but for those left out, and of the memory policy's."""
    from latentry._request._generation_request import GenerationRequest
    from latentry._request._memory_policy import MemoryPolicy

    yield from options_of(GenerationRequest, only=GenerationRequest.model_fields.keys() - without)
    yield from options_of(MemoryPolicy, only=POLICY)


def take_policy(fields: dict[str, Any]) -> dict[str, Any]:
    """Moves the memory policy's fields out of those that were given."""
    return {name: fields.pop(name) for name in POLICY if name in fields}


def prompts_option(verb: str) -> Callable[[Any], Any]:
    """``--prompts FILE``; the verb says what is done with each line."""
    return click.option(
        "--prompts",
        cls=PanelOption,
        panel=Panel.PROMPT,
        metavar="FILE",
        shell_complete=complete_files,
        help=f"{verb} each line: a prompt, or a JSON object of the request's fields. - is standard input.",
    )


def folder_options(contents: str, resume: str) -> Callable[[Any], Any]:
    """``--output FOLDER``, which is required, and ``--resume``.

    Args:
        contents: what the folder will hold.
        resume: what happens to what is in it.
    """
    folder = click.option(
        "--output",
        required=True,
        metavar="FOLDER",
        type=click.Path(path_type=Path, file_okay=False),
        shell_complete=complete_files,
        help=f"Folder of {contents}.",
    )
    again = click.option("--resume", is_flag=True, help=resume)
    return lambda command: folder(again(command))
