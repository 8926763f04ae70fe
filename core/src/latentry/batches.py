"""Many requests into one folder, here or on other machines.

``BatchFolder`` and ``run_batch`` are what ``latentry batch`` is made of; ``Executor``, ``BatchSettings``, ``Line``,
``DrawnLine`` and ``draw_line`` are what an executor needs; ``request_of``, ``finished_line`` and ``failed_line``
are what ``draw_line`` is made of, for those who draw several lines together. ``ServingExecutor``, ``ServedEngine``,
``ServedJob`` and ``saved_request`` are for executors whose engines draw for a server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentry._lazy import lazy_exports

if TYPE_CHECKING:
    from latentry._batch._folder import BatchFolder
    from latentry._batch._run import run_batch
    from latentry._batch._serving import ServedEngine, ServedJob, ServingExecutor
    from latentry._batch._work import (
        BatchSettings,
        DrawnLine,
        Executor,
        Line,
        draw_line,
        failed_line,
        finished_line,
        request_of,
    )
    from latentry._generate._saved import saved_request
    from latentry._request._values._prompts import read_prompts
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "BatchFolder": "_batch._folder",
            "run_batch": "_batch._run",
            "ServedEngine": "_batch._serving",
            "ServedJob": "_batch._serving",
            "ServingExecutor": "_batch._serving",
            "saved_request": "_generate._saved",
            "BatchSettings": "_batch._work",
            "DrawnLine": "_batch._work",
            "Executor": "_batch._work",
            "Line": "_batch._work",
            "draw_line": "_batch._work",
            "failed_line": "_batch._work",
            "finished_line": "_batch._work",
            "request_of": "_batch._work",
            "read_prompts": "_request._values._prompts",
        },
    )

__all__ = [
    "BatchFolder",
    "BatchSettings",
    "DrawnLine",
    "Executor",
    "Line",
    "ServedEngine",
    "ServedJob",
    "ServingExecutor",
    "draw_line",
    "failed_line",
    "finished_line",
    "read_prompts",
    "request_of",
    "run_batch",
    "saved_request",
]
