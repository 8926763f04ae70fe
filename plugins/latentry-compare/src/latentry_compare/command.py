"""``latentry compare``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from latentry import LatentryError, OptionError, PluginHost
from latentry.commands import (
    FieldCommand,
    build,
    complete_names,
    folder_options,
    following,
    json_option,
    print_table,
    prompts_option,
    quiet_option,
    request_options,
    say,
    take_policy,
    typed_fields,
)
from latentry_compare._names import FIGURES, GRID, PAGE

if TYPE_CHECKING:
    from latentry import Progress
    from latentry_compare._report import Report

T = TypeVar("T")
COMPARED = ("scheduler", "sigmas", "steps", "guidance")
"""Fields of a request that are axes here, each with an option of its own below."""
LEFT_OUT = {*COMPARED, "count", "plan"}


def _listed(read: Callable[[str], T]) -> Callable[[click.Context, click.Parameter, tuple[str, ...]], list[T]]:
    """Reads values that are separated by commas, in one option or several."""

    def listed(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> list[T]:
        words = [word.strip() for text in texts for word in text.split(",") if word.strip()]
        try:
            return [read(word) for word in words]
        except ValueError as error:
            option = f"--{parameter.name} {','.join(words)}"
            raise OptionError(f"{option}: it must be numbers separated by commas, e.g. 4,8,16.") from error

    return listed


@click.command(cls=FieldCommand, fields=lambda: request_options(without=LEFT_OUT), own_heading="Comparison")
@click.argument("prompt", required=False)
@prompts_option("Compare on")
@click.option(
    "--scheduler",
    multiple=True,
    metavar="NAME,…",
    callback=_listed(str),
    shell_complete=complete_names("schedulers"),
    help="Schedulers; the model's own if not given.",
)
@click.option(
    "--sigmas",
    multiple=True,
    metavar="NAME,…",
    callback=_listed(str),
    shell_complete=complete_names("sigma_schedules"),
    help="Sigma schedules; each scheduler's own if not given.",
)
@click.option("--steps", multiple=True, metavar="N,…", callback=_listed(int), help="Numbers of steps.")
@click.option("--guidance", multiple=True, metavar="SCALE,…", callback=_listed(float), help="Guidance scales.")
@folder_options(
    contents=f"the pictures and of {PAGE}, {FIGURES} and {GRID}",
    resume="Go on in a folder that exists; draw only what it lacks.",
)
@click.option(
    "--reference",
    default="unipc",
    show_default=True,
    metavar="NAME",
    shell_complete=complete_names("schedulers"),
    help="Scheduler of the converged references.",
)
@click.option(
    "--reference-steps",
    default=128,
    show_default=True,
    type=click.IntRange(min=0),
    help="Their steps; 0 to measure no distances.",
)
@click.option(
    "--thumbnail",
    default=256,
    show_default=True,
    metavar="PIXELS",
    type=click.IntRange(16, 2048),
    help="Longer side of the pictures in the page.",
)
@quiet_option
@json_option
@click.pass_context
def compare(
    context: click.Context,
    /,
    prompt: str | None,
    prompts: str | None,
    scheduler: list[str],
    sigmas: list[str],
    steps: list[int],
    guidance: list[float],
    output: Path,
    resume: bool,
    reference: str,
    reference_steps: int,
    thumbnail: int,
    quiet: bool,
    as_json: bool,
    **_: object,
) -> None:
    """Draw PROMPT with every combination of schedulers, sigma schedules, steps, guidance and seeds.

    The page, the figures and the grid are written into the folder. A converged reference is drawn for each seed, and
    the distance of each result is measured. An axis without effect is refused.
    """
    from latentry import Engine, GenerationRequest, MemoryPolicy
    from latentry_compare import Axes, Comparison, Reference
    from latentry_compare import compare as compared
    from latentry_compare._files import write_files

    common = typed_fields(context)
    memory = take_policy(common)
    seeds = common.pop("seed", 0)
    axes = Axes(
        prompts=_prompts(prompt, prompts),
        schedulers=scheduler or (None,),
        sigmas=sigmas or (None,),
        steps=steps or (None,),
        guidance=guidance or (None,),
        seeds=seeds if isinstance(seeds, tuple) else (seeds,),
    )
    build(context, GenerationRequest, {**common, "prompt": ""})  # what is wrong is said with the option as typed
    host: PluginHost = context.obj
    engine = Engine(host, build(context, MemoryPolicy, memory))
    against = Reference(reference, reference_steps) if reference_steps else None
    comparison = Comparison(axes=axes, common=common, reference=against)
    with following(silent=quiet or as_json) as progress:
        report = compared(engine, comparison, output, resume=resume, told=_telling(progress))
    write_files(report, output, thumbnail=thumbnail)
    if as_json:
        click.echo(report.to_json(), nl=False)
    elif not quiet:
        print_table(*table(report))
        say(str(output / PAGE))
    if report.failures:
        raise LatentryError(
            f"{report.failures} pictures could not be drawn.",
            why=f"{output / PAGE} says why.",
            remedy="Correct what is wrong, and go on with --resume.",
        )


def _prompts(prompt: str | None, file: str | None) -> list[Mapping[str, Any]]:
    if (prompt is None) == (file is None):
        raise OptionError(
            "A comparison needs a prompt, or --prompts with a file of them.", remedy="Give one of the two."
        )
    if file is None:
        return [{"prompt": prompt}]
    from latentry.batches import read_prompts

    return read_prompts(file)


def _telling(progress: Progress | None) -> Callable[[int, int, str], None]:
    from latentry import ProgressEvent

    def told(done: int, total: int, words: str) -> None:
        if progress is not None:
            progress(ProgressEvent("sample", done, total, words))

    return told


def table(report: Report) -> tuple[list[str], list[list[str]]]:
    """The figures for a terminal: headings, and the cells of each row."""
    from latentry_compare._page import COLUMNS, cell, told

    names = told(report)
    return [COLUMNS[name] for name in names], [[cell(row, name) for name in names] for row in report.rows]
