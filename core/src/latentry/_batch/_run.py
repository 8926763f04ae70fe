"""Draws what a folder lacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any

from latentry._batch._folder import BatchFolder
from latentry._batch._work import BatchSettings, DrawnLine
from latentry._discovery import PluginHost
from latentry._errors import PluginError


def run_batch(
    host: PluginHost,
    folder: BatchFolder,
    prompts: Sequence[Mapping[str, Any]],
    common: Mapping[str, Any],
    *,
    executor: str = "local",
    settings: BatchSettings | None = None,
    told: Callable[[int, int, DrawnLine | None], None] = lambda done, all, drawn: None,
) -> int:
    """Draws the lines that are not finished yet, and returns how many failed.

    Args:
        host: where the executor comes from.
        folder: to write into.
        prompts: fields of each line, as ``read_prompts`` gives them.
        common: fields of all of them.
        executor: who draws.
        settings: how.
        told: called with the lines that are finished, with all of them, and with the newest.

    Raises:
        UnknownName: there is no such executor.
        PluginError: it gave a line back that it was not given, or not all of them.
        OSError: the folder cannot be written to.
    """
    settings = settings or BatchSettings()
    lines = folder.lines(prompts, common)
    wanted = {line.number: line for line in folder.unfinished(lines)}
    told(len(lines) - len(wanted), len(lines), None)
    if wanted:
        chosen = host.executors.create(executor)
        with host.executors.calling(executor), closing(chosen.run(list(wanted.values()), settings)) as drawing:
            for drawn in drawing:
                if drawn.number not in wanted:
                    raise PluginError(f"The executor '{executor}' returned line {drawn.number}, which was not waiting.")
                folder.write(wanted.pop(drawn.number), drawn, settings.suffix)
                told(len(lines) - len(wanted), len(lines), drawn)
    if wanted:
        raise PluginError(f"The executor '{executor}' left out the line {min(wanted)}.")
    folder.close(lines)
    return folder.failures
