"""``latentry doctor``: what is installed, what is broken, and what mends it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from latentry._cli._common_options import json_option
from latentry._cli._global_options import open_host, plugins_print_to_stderr
from latentry._cli._printing._output import print_json, print_prose, say

if TYPE_CHECKING:
    from latentry._cli._doctor._finding import Finding

MARKS = {"ok": "ok     ", "note": "note   ", "problem": "problem"}


@click.command()
@click.option("--report", is_flag=True, help="Print what can be pasted into an issue: without paths.")
@json_option
@click.pass_context
def doctor(context: click.Context, report: bool, as_json: bool) -> None:
    """Look at the installation and say what mends it.

    The exit code is 1 if something does not work.
    """
    from latentry._cli._doctor._examine import examine

    host = open_host(context, mention_problems=False)
    with plugins_print_to_stderr():
        found = list(examine(host))
    if report:
        found = [finding.without_paths() for finding in found]
    if as_json:
        print_json([asdict(finding) for finding in found])
    elif report:
        say("```")
        _print(found)
        say("```")
    else:
        _print(found)
    if any(finding.state == "problem" for finding in found):
        context.exit(1)


def _print(found: Sequence[Finding]) -> None:
    wide = max(len(finding.topic) for finding in found)
    for finding in found:
        print_prose(
            f"{MARKS[finding.state]}  {finding.topic.ljust(wide)}  {' '.join(finding.text.split())}", hanging=11 + wide
        )
        if finding.remedy:
            print_prose(" ".join(finding.remedy.split()), indent=11 + wide)
