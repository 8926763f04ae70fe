"""``latentry generate``: a picture from a prompt, or again from a picture."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentry._cli._host import open_host
from latentry._cli._output import print_json
from latentry._cli._progress import following
from latentry._errors import OptionError

if TYPE_CHECKING:
    from latentry._engine import GenerationResult

OUTPUT_ONLY = frozenset({"output", "source", "anyway", "quiet", "as_json"})
"""Options that have a say beside ``--from``."""


def generate(
    context: typer.Context,
    prompt: Annotated[str | None, typer.Argument(help="What the picture shows.", show_default=False)] = None,
    model: Annotated[str | None, typer.Option(help="Folder or installed name; without it the shipped one.")] = None,
    variant: Annotated[str | None, typer.Option(help="Variant, where the files cannot tell.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="Sampler; see `latentry schedulers`.")] = None,
    scheduler_options: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Option of the sampler; repeatable.")
    ] = None,
    sigmas: Annotated[
        str | None, typer.Option(help="Sigma schedule (see `latentry sigmas`), or levels such as 14.6,3.1,0.7.")
    ] = None,
    final: Annotated[str | None, typer.Option(help="Where the run ends: zero, or table (the least trained).")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the sampler.")] = None,
    guidance: Annotated[float | None, typer.Option(help="Guidance scale; 1 is none.")] = None,
    negative: Annotated[str, typer.Option(help="What the picture should not show.")] = "",
    seed: Annotated[int | None, typer.Option(help="Seed; without it one is drawn and recorded.")] = None,
    width: Annotated[int | None, typer.Option(help="Pixels; without it the model's own size.")] = None,
    height: Annotated[int | None, typer.Option(help="Pixels; without it the model's own size.")] = None,
    count: Annotated[int, typer.Option(help="How many pictures.")] = 1,
    batch: Annotated[int, typer.Option(help="How many of them go through the network together.")] = 4,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32, float16, bfloat16.")] = "auto",
    attention: Annotated[str, typer.Option(help="Attention backend; see `latentry attention`.")] = "auto",
    output: Annotated[Path, typer.Option(help="PNG to write; of several each gets a number.")] = Path("picture.png"),
    source: Annotated[Path | None, typer.Option("--from", help="PNG made by Latentry, to make again.")] = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="With --from: go on though versions differ.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no report.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON.")] = False,
) -> None:
    """Draw pictures of a prompt, or one again with --from."""
    given = {name: value for name, value in context.params.items() if name not in OUTPUT_ONLY}
    _check_output(output)
    silent = quiet or as_json
    if source is not None:
        _refuse_beside_from(context)
        result = _again(context, source, anyway=anyway, silent=silent)
    else:
        given["scheduler_options"] = _options(scheduler_options or [])
        given["sigmas"] = _sigmas(sigmas)
        result = _new(context, given, silent=silent)
    with _writing(output):
        paths = result.save(output)
    _report(result, paths, quiet=quiet, as_json=as_json)


def _new(context: typer.Context, given: dict[str, Any], *, silent: bool) -> GenerationResult:
    if not given["prompt"]:
        raise OptionError(
            "There is no prompt.", remedy='Give one, e.g. latentry generate "a red circle left of a blue square".'
        )
    from latentry._discovery._options import create
    from latentry._engine import Engine, GenerationRequest

    request: GenerationRequest = create("The request", GenerationRequest, given)
    host = open_host(context)
    with following(silent=silent) as progress:
        return Engine(host).generate(request, progress=progress)


def _again(context: typer.Context, source: Path, *, anyway: bool, silent: bool) -> GenerationResult:
    from latentry._engine import Engine, read_recipe

    recipe = read_recipe(source)
    engine = Engine(open_host(context))
    with following(silent=silent) as progress:
        return engine.reproduce(recipe, anyway=anyway, progress=progress)


def _refuse_beside_from(context: typer.Context) -> None:
    typed = [
        name
        for name in context.params
        if name not in OUTPUT_ONLY and getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    ]
    if typed:
        raise OptionError(
            f"--from takes everything from the picture, so {', '.join(typed)} cannot be given with it.",
            remedy="Leave it out; or read the settings with `latentry show` and give them without --from.",
        )


def _options(pairs: list[str]) -> dict[str, Any]:
    """NAME=VALUE pairs; a value that is JSON is taken as such, any other as text."""
    options: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise OptionError(f"--set {pair} is no NAME=VALUE.", remedy="E.g. --set eta=0.5.")
        try:
            options[name.strip()] = json.loads(value)
        except ValueError:
            options[name.strip()] = value
    return options


def _sigmas(text: str | None) -> str | tuple[float, ...] | None:
    """A schedule's name, or levels separated by commas."""
    if text is None:
        return None
    try:
        return tuple(float(level) for level in text.split(",") if level.strip())
    except ValueError:
        return text


def _check_output(output: Path) -> None:
    """Refuses a place that cannot be written to before minutes are spent on the pictures."""
    with _writing(output):
        folder = output.is_dir()
    if folder:
        raise OptionError(f"--output {output} is a folder.", remedy=f"Give a file, e.g. {output / 'picture.png'}.")
    if output.suffix.lower() not in ("", ".png"):
        raise OptionError(
            f"--output {output} is no PNG.",
            why="Only PNG carries the recipe.",
            remedy=f"Use {output.with_suffix('.png')}.",
        )
    with _writing(output):
        output.absolute().parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=output.absolute().parent, prefix=output.name):
            pass


@contextmanager
def _writing(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OptionError(
            f"--output {output} cannot be written.", why=str(error), remedy="Choose another place."
        ) from error


def _report(result: GenerationResult, paths: tuple[Path, ...], *, quiet: bool, as_json: bool) -> None:
    if as_json:
        recipes = [json.loads(recipe.model_dump_json()) for recipe in result.recipes]
        print_json([{"path": str(path), "recipe": recipe} for path, recipe in zip(paths, recipes, strict=True)])
    elif not quiet:
        request = result.recipes[0].request
        print(
            f"{request.scheduler}, {request.sigmas}, {request.steps} steps ({result.evaluations} evaluations), "
            f"guidance {request.guidance:g}, seed {request.seed}"
        )
        for note in result.notes:
            print(f"note: {note}")
        for path in paths:
            print(path)
