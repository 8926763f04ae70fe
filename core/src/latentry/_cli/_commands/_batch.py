"""``latentry batch``: every line of a file drawn into a folder, once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentry._cli._common_options import complete_files, complete_names, json_option, quiet_option
from latentry._cli._field_options import FieldCommand, typed_fields
from latentry._cli._global_options import batch_settings, open_host
from latentry._cli._request_options import folder_options, request_options, take_policy
from latentry._errors import LatentryError, OptionError

if TYPE_CHECKING:
    from latentry._batch._work import DrawnLine


@click.command(cls=FieldCommand, fields=request_options, own_heading="Batch")
@click.argument("prompts", shell_complete=complete_files)
@folder_options(
    contents="the pictures and of manifest.jsonl, which says what is finished",
    resume="Go on with a batch that was interrupted; draw again what failed.",
)
@click.option(
    "--executor",
    default="local",
    shell_complete=complete_names("executors"),
    help="Who draws: local, or that of a plugin.  [default: local]",
)
@click.option("--workers", type=click.IntRange(min=1), help="Engines of the executor; its own choice if not given.")
@click.option(
    "--format", "suffix", default="png", type=click.Choice(("png", "jpg", "webp", "avif")), help="Of the files."
)
@quiet_option
@json_option
@click.pass_context
def batch(
    context: click.Context,
    /,
    prompts: str,
    output: Path,
    resume: bool,
    executor: str,
    workers: int | None,
    suffix: str,
    quiet: bool,
    as_json: bool,
    **_: object,
) -> None:
    """Draw every line of the file PROMPTS.

    A line is a prompt, or a JSON object of a request's fields; - is standard input. Options hold for lines that do
    not say otherwise. A line without a seed gets its own, which follows from --seed and its number.
    """
    from latentry._batch._folder import MANIFEST, BatchFolder
    from latentry._batch._run import run_batch
    from latentry._cli._printing._output import print_json, say
    from latentry._cli._printing._progress import following
    from latentry._request._values._prompts import read_prompts

    lines = read_prompts(prompts)
    given = typed_fields(context, elsewhere=frozenset().union(*lines))
    seed, memory = _seed(given.pop("seed", None)), take_policy(given)
    host = open_host(context)
    settings = batch_settings(context, memory=memory, suffix=f".{suffix}", workers=workers)
    folder = BatchFolder(output, resume=resume, seed=seed)
    with following(silent=quiet or as_json) as progress:
        failed = run_batch(host, folder, lines, given, executor=executor, settings=settings, told=_telling(progress))
    if as_json:
        print_json({"lines": len(lines), "failed": failed, "output": str(output), "seed": folder.seed})
    elif not quiet:
        say(f"{len(lines) - failed} of {len(lines)} lines are drawn in {output}.")
    if failed:
        raise LatentryError(
            f"{failed} of {len(lines)} lines have no pictures.",
            why=f"{output / MANIFEST} says why.",
            remedy="Correct them, and go on with --resume.",
        )


def _telling(progress: Any) -> Any:
    from latentry._contract._progress import ProgressEvent

    def told(done: int, lines: int, drawn: DrawnLine | None) -> None:
        if progress is not None:
            progress(ProgressEvent("sample", done, lines, f"{done} of {lines} lines"))

    return told


def _seed(seeds: Any) -> int | None:
    if seeds is None or isinstance(seeds, int):
        return seeds
    found = seeds if isinstance(seeds, (list, tuple)) else [seeds]
    if len(found) != 1:
        raise OptionError("--seed: one seed is enough for a batch.", remedy="Lines can have seeds of their own.")
    return int(found[0])
