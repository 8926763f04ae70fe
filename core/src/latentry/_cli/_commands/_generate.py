"""``latentry generate``: pictures from a prompt, or again from a picture's recipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentry._cli._common_options import complete_files, json_option, quiet_option
from latentry._cli._drawing._trust import TRUST, Trust
from latentry._cli._field_options import FieldCommand, PanelOption, build, typed_fields
from latentry._cli._global_options import open_host
from latentry._cli._request_options import POLICY, prompts_option, request_options, take_policy
from latentry._cli._settings._settable import variable
from latentry._errors import OptionError
from latentry._request._values._option import Panel

if TYPE_CHECKING:
    from latentry._cli._drawing._wildcards import Wildcards
    from latentry._discovery import PluginHost
    from latentry._generate._engine import Engine


def _clip_skip_moved(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        raise OptionError(
            f"--clip-skip is now --condition clip_skip={value}.", why="It is an option of the families that have CLIP."
        )


EXAMPLES = """\b
Examples:
  latentry generate "a red circle" --scheduler unipc --steps 8 --count 4
  latentry generate "a red circle" --output "{scheduler}-{seed}.png"
  latentry generate --from picture.png"""


@click.command(cls=FieldCommand, fields=request_options, own_heading="Output", epilog=EXAMPLES)
@click.argument("prompt", required=False)
@click.option(
    "--output",
    envvar=variable("output"),
    metavar="PATH",
    shell_complete=complete_files,
    help="File, folder, or name with {seed}, {scheduler}, {index}, {model} or {date}; .png, .jpg, .webp or .avif; - is "
    "standard output.  [default: picture.png; if it exists, picture-001.png, …]",
)
@click.option("--overwrite", is_flag=True, help="Write over files that exist.")
@click.option(
    "--sheet",
    metavar="FILE",
    type=Path,
    shell_complete=complete_files,
    help="Write one picture of all, small and labelled with what tells them apart, too.",
)
@click.option(
    "--preview",
    metavar="FILE",
    shell_complete=complete_files,
    help="Write roughly what is being drawn to a file, over and over; terminal shows it in the terminal.",
)
@prompts_option("Draw")
@click.option(
    "--alternatives",
    cls=PanelOption,
    panel=Panel.PROMPT,
    is_flag=True,
    help="Choose one of {red|blue} per picture.",
)
@click.option(
    "--wildcards",
    cls=PanelOption,
    panel=Panel.PROMPT,
    metavar="FOLDER",
    type=Path,
    shell_complete=complete_files,
    help="The same, and for __colour__ a line of FOLDER/colour.txt.",
)
@click.option(
    "--wildcard-seed",
    cls=PanelOption,
    panel=Panel.PROMPT,
    metavar="SEED",
    type=int,
    help="Seed of these choices; another each time if not given.",
)
@click.option(
    "--from",
    "source",
    metavar="PICTURE",
    type=Path,
    shell_complete=complete_files,
    help="Make the picture in this file again; with other options, the same with those changed. Settings of "
    "AUTOMATIC1111, ComfyUI, InvokeAI and diffusers are read, too.",
)
@click.option("--anyway", is_flag=True, help="With --from: continue even if versions or files differ.")
@click.option(
    "--trust",
    is_flag=True,
    help=f"With --from: {TRUST}.",
)
@click.option("--clip-skip", hidden=True, expose_value=False, callback=_clip_skip_moved)
@quiet_option
@json_option
@click.pass_context
def generate(
    context: click.Context,
    /,
    prompt: str | None,
    output: str | None,
    overwrite: bool,
    sheet: Path | None,
    preview: str | None,
    prompts: str | None,
    alternatives: bool,
    wildcards: Path | None,
    wildcard_seed: int | None,
    source: Path | None,
    anyway: bool,
    trust: bool,
    quiet: bool,
    as_json: bool,
    **_: object,
) -> None:
    """Draw pictures of PROMPT, or make one again with --from."""
    from latentry._cli._drawing._expand import expand
    from latentry._cli._drawing._jobs import checked, counted, draw, picture_job, typed_job, typed_paths
    from latentry._cli._late_collection import LateCollection
    from latentry._cli._printing._preview import previewing
    from latentry._cli._printing._progress import following
    from latentry._cli._saving._output import read_output
    from latentry._cli._saving._saver import Saver
    from latentry._cli._saving._sheet import check_sheet

    if source is None and (anyway or trust):
        raise OptionError(f"{'--anyway' if anyway else '--trust'}: it has no effect without --from.")
    # a picture is made again as it was, whatever the settings
    lines = _lines(prompts, prompt)
    given = typed_fields(
        context,
        needing=source is None,
        settings=None if source is None else POLICY,
        elsewhere=frozenset().union(*lines),
    )
    policy = take_policy(given)
    if prompt is not None:
        given["prompt"] = prompt
    if options := given.get("attention_options"):
        given["attention_options"] = _by_backend(given.get("attention", "auto"), options)
    host = open_host(context)
    jobs = [
        typed_job(context, fields, notes) if source is None else picture_job(context, host, source, fields, notes)
        for fields, notes in expand(given, lines, _wildcards(alternatives, wildcards, wildcard_seed))
    ]
    where = read_output(output, sum(job.pictures for job in jobs), overwrite=overwrite)
    for job in jobs:
        where.check(job.request, as_json=as_json)
    if sheet is not None:
        check_sheet(sheet, overwrite=overwrite)
    save = Saver(where, overwrite=overwrite, quiet=quiet, as_json=as_json, sheet=sheet)
    trusted = Trust(trust, typed_paths(given))
    try:
        with LateCollection() as collection, following(silent=quiet or as_json) as shown:
            shown = shown if preview is None else previewing(preview, shown)
            engine, progress = _engine(context, host, policy), collection.watching(shown)
            jobs = checked(context, engine, jobs, progress)
            for number, job in enumerate(jobs, 1):
                save.begin(job.derived, job.notes)
                told = counted(progress, number, len(jobs))
                result = draw(context, engine, job, trusted, anyway=anyway, progress=told, finished=save)
                save.report(result)
    finally:  # an error or Ctrl-C after some of the pictures
        save.close()


def _lines(file: str | None, prompt: str | None) -> list[Mapping[str, Any]]:
    if file is None:
        return []
    if prompt is not None:
        raise OptionError(f"--prompts {file}: a prompt is given as well.", remedy="Leave one of them out.")
    from latentry._request._values._prompts import read_prompts

    try:
        return read_prompts(file)
    except OptionError as error:
        error.what = f"--prompts {error.what}"
        raise


def _wildcards(alternatives: bool, folder: Path | None, seed: int | None) -> Wildcards | None:
    if not alternatives and folder is None:
        if seed is not None:
            raise OptionError(f"--wildcard-seed {seed}: it has no effect without --alternatives or --wildcards.")
        return None
    if folder is not None and not folder.is_dir():
        raise OptionError(f"--wildcards {folder} is not a folder.", remedy="Give the folder of the .txt files.")
    from random import Random

    from latentry._cli._drawing._wildcards import Wildcards

    return Wildcards(Random().getrandbits(32) if seed is None else seed, folder)


def _engine(context: click.Context, host: PluginHost, policy: Mapping[str, Any]) -> Engine:
    from latentry._generate._engine import Engine
    from latentry._request._memory_policy import MemoryPolicy

    return Engine(host, build(context, MemoryPolicy, policy))


def _by_backend(attention: str, options: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Options by backend; those without one belong to the only backend that ``--attention`` names.

    Raises:
        OptionError: an option without a backend, and not exactly one is named.
    """
    found = {backend: values for backend, values in options.items() if backend}
    if ownerless := options.get(""):
        backend = _only_backend(attention, next(iter(ownerless)))
        found[backend] = {**found.get(backend, {}), **ownerless}
    return found


def _only_backend(attention: str, option: str) -> str:
    from latentry._attention._names import AUTO, NATIVE, parse_attention

    named = {name for names in parse_attention(attention).values() for name in names} - {AUTO, NATIVE}
    if len(named) != 1:
        raise OptionError(
            f"--attention-set {option} does not say which backend it is for.",
            why=f"--attention {attention} names {len(named)} backends.",
            remedy=f"Give it with the backend, e.g. sliced.{option}=…, or name one backend: --attention sliced.",
        )
    return named.pop()
