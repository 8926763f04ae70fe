"""``latentry tune``."""

from __future__ import annotations

import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import click

from latentry import Engine, GenerationRequest, OptionError, PluginHost
from latentry.batches import read_prompts
from latentry.commands import complete_files
from latentry_tune._for_request import Prepared, Rows, kept_for, plan_file, prepared
from latentry_tune._tuning import MOST_STEPS
from latentry_tune._tuning import tune as tuned_for

FEWEST_PROMPTS = 8


@click.command()
@click.argument("prompts", nargs=-1, metavar="PROMPT...")
@click.option("--model", help="Folder, file, installed name, or owner/name on the Hub. The shipped model if not given.")
@click.option("--prompts", "file", shell_complete=complete_files, help="File of prompts, one a line; - reads them.")
@click.option("--steps", type=click.IntRange(2, MOST_STEPS), default=8, show_default=True, help="Steps of the plan.")
@click.option("--guidance", type=float, help="Guidance scale; the model's own if not given.")
@click.option(
    "--scheduler", default="unipc", show_default=True, help="Scheduler whose default plan the fit starts from."
)
@click.option("--width", type=int, help="Width in pixels; the model's own if not given.")
@click.option("--height", type=int, help="Height in pixels; the model's own if not given.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the noises.")
@click.option("--batch", type=click.IntRange(1), default=4, show_default=True, help="Pictures evaluated together.")
@click.option("--rows", type=click.IntRange(4), default=Rows.fitted, show_default=True, help="Noises to fit to.")
@click.option("--judging", type=click.IntRange(4), default=Rows.judging, show_default=True, help="Noises to judge by.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 or mps.")
@click.option("--dtype", default="auto", show_default=True, help="auto, float32, float16 or bfloat16.")
@click.option("--output", type=click.Path(path_type=Path), help="Plan file; tuned-MODEL-STEPS.json if not given.")
@click.option("--overwrite", is_flag=True, help="Overwrite an existing file.")
@click.option("--estimate", is_flag=True, help="Say what it would cost, and stop.")
@click.pass_obj
def tune(
    host: PluginHost,
    /,
    prompts: tuple[str, ...],
    file: str | None,
    rows: int,
    judging: int,
    output: Path | None,
    overwrite: bool,
    estimate: bool,
    **request: Any,
) -> None:
    """Fit a plan of few steps, grid and coefficients, to a model at one guidance scale.

    The PROMPTS should be like those that the plan is for, eight or more. What was found so far is kept next to the
    output until the plan is written: the same command goes on after an interruption. A plan that is not better on
    noises it was not fitted to is not written.
    """
    texts = _prompts(prompts, file)
    if output is not None and output.exists() and not overwrite:
        raise OptionError(f"{output} exists.", remedy="Add --overwrite, or give another name.")
    given = {name: value for name, value in request.items() if value is not None}
    asked = GenerationRequest(prompt=texts, **given)
    shown = _Shown()
    with prepared(Engine(host), asked, Rows(rows, judging), shown.count) as ready:
        shown.begin(ready)
        if len(texts) < FEWEST_PROMPTS:
            shown.say(f"A plan that is fitted to {len(texts)} prompts may not suit others; give {FEWEST_PROMPTS}.")
        if estimate:
            return
        model = Path(ready.setup.located.name).name
        written = output or Path(f"tuned-{model}-{ready.problem.steps}.json")
        if written.exists() and not overwrite:
            raise OptionError(f"{written} exists.", remedy="Add --overwrite, or give another name with --output.")
        kept = kept_for(ready, written.with_suffix(".stages"))
        with shown:
            tuned = tuned_for(ready.problem, kept=kept, told=shown.stage)
        figures = f"{tuned.errors.mean():.3g} against {tuned.stock.mean():.3g}, {tuned.ratio:.2f} of it"
        if tuned.accepted:
            written.write_text(plan_file(ready, tuned).to_json(), encoding="utf-8")
            click.echo(f"{written} is written. Mean error on {judging} fresh noises: {figures}.")
            click.echo(f"Use it: latentry generate PROMPT --model {ready.setup.located.name} --plan {written}")
        else:
            click.echo(
                f"No plan is written: on {judging} fresh noises the fit is not significantly better ({figures})."
            )
            click.echo(f"Stay with {asked.scheduler}, or fit to more rows: --rows {2 * rows}.")
        kept.clear()


def _prompts(given: tuple[str, ...], file: str | None) -> tuple[str, ...]:
    lines = [] if file is None else read_prompts(file)
    if further := sorted({name for line in lines for name in line} - {"prompt"}):
        raise OptionError(
            f"{file}: a line gives {further[0]!r}, but a plan is for one model at one guidance scale.",
            remedy="Give prompts alone, and the rest as options.",
        )
    texts = (*given, *(line["prompt"] for line in lines))
    if not texts:
        raise OptionError("Tuning needs prompts.", remedy="Give some, or a file of them with --prompts.")
    return texts


class _Shown:
    """Progress on standard error: a bar where that is a terminal, a line for each stage elsewhere."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._total = 0

    def say(self, text: str) -> None:
        click.echo(text, err=True)

    def begin(self, ready: Prepared) -> None:
        self._total = ready.evaluations
        pictures, minutes = ready.evaluations / 25, ready.evaluations * ready.seconds / 60
        self.say(
            f"About {ready.evaluations:,} evaluations of one picture, as many as {pictures:,.0f} pictures of 25 steps "
            f"take: {minutes:.1f} minutes here."
        )

    def count(self, pictures: int) -> None:
        if self._bar is not None:
            self._bar.update(pictures)

    def stage(self, name: str) -> None:
        if self._bar is not None:
            self._bar.label = name
        if not sys.stderr.isatty():
            self.say(name)

    def __enter__(self) -> None:
        self._begun = perf_counter()
        if sys.stderr.isatty():
            self._bar = click.progressbar(length=self._total, label="tuning", file=sys.stderr)
            self._bar.__enter__()

    def __exit__(self, *error: Any) -> None:
        if self._bar is not None:
            self._bar.__exit__(*error)
