"""``latentry generate``: pictures from a prompt, or again from a picture's recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentry._cli._common_options import complete_files, json_option, quiet_option
from latentry._cli._field_options import FieldCommand, FieldOption, build, options_of, spelled, typed_fields
from latentry._cli._global_options import open_host
from latentry._cli._late_collection import LateCollection
from latentry._cli._progress import following
from latentry._cli._saving._output import read_output
from latentry._cli._saving._saver import Saver
from latentry._errors import OptionError

if TYPE_CHECKING:
    from latentry._contract._progress import Progress
    from latentry._generate._engine import Engine
    from latentry._request._generation_request import GenerationRequest
    from latentry._request._recipe import Recipe
    from latentry._request._result import GenerationResult

TRUST = "opens every file that the recipe names and downloads the model if it is not on this machine"
POLICY = ("offload", "blocks_per_group")
"""Fields of the memory policy that are options here; its others are fields of a request too."""
PATHS = ("model", "vae", "text_encoders", "tokenizer", "config", "refiner", "init_image", "mask", "plan")
"""Fields of a request that name files. They can be given again with ``--from``, and so can ``offline``."""


def _fields() -> Iterator[FieldOption]:
    from latentry._request._generation_request import GenerationRequest
    from latentry._request._memory_policy import MemoryPolicy

    yield from options_of(GenerationRequest)
    yield from options_of(MemoryPolicy, only=POLICY)


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


@click.command(cls=FieldCommand, fields=_fields, own_heading="Output", epilog=EXAMPLES)
@click.argument("prompt", required=False)
@click.option(
    "--output",
    metavar="PATH",
    shell_complete=complete_files,
    help="File, folder, or name with {seed}, {scheduler}, {index}, {model} or {date}; .png, .jpg, .webp or .avif; - is "
    "standard output.  [default: picture.png; if it exists, picture-001.png, …]",
)
@click.option("--overwrite", is_flag=True, help="Write over files that exist.")
@click.option(
    "--from",
    "source",
    metavar="PICTURE",
    type=Path,
    shell_complete=complete_files,
    help="Make a picture again from the recipe in this file.",
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
    source: Path | None,
    anyway: bool,
    trust: bool,
    quiet: bool,
    as_json: bool,
    **_: object,
) -> None:
    """Draw pictures of PROMPT, or make one again with --from."""
    if source is None and (anyway or trust):
        raise OptionError(f"{'--anyway' if anyway else '--trust'}: it has no effect without --from.")
    given = typed_fields(context)
    policy = {name: given.pop(name) for name in POLICY if name in given}
    if prompt is not None:
        given["prompt"] = prompt
    recipe = None if source is None else _recipe(context, source, given)
    request = _request(context, given) if recipe is None else recipe.request
    where = read_output(output, len(request.prompts) if recipe is None else 1, overwrite=overwrite)
    where.check(request, as_json=as_json)
    save = Saver(where, overwrite=overwrite, quiet=quiet, as_json=as_json)
    try:
        with LateCollection() as collection, following(silent=quiet or as_json) as shown:
            engine, progress = _engine(context, policy), collection.watching(shown)
            if recipe is None:
                result = engine.generate(request, progress=progress, finished=save)
            else:
                result = _again(context, engine, recipe, given, anyway=anyway, trust=trust, progress=progress)
                save(result)
        save.report(result)
    finally:  # an error or Ctrl-C after some of the pictures
        save.close()


def _request(context: click.Context, given: dict[str, Any]) -> GenerationRequest:
    if not given.get("prompt"):
        raise OptionError(
            "There is no prompt.", remedy='Give one, e.g. latentry generate "a red circle left of a blue square".'
        )
    from latentry._request._generation_request import GenerationRequest

    if options := given.get("attention_options"):
        given["attention_options"] = _by_backend(given.get("attention", "auto"), options)
    return build(context, GenerationRequest, given)


def _recipe(context: click.Context, source: Path, given: Mapping[str, Any]) -> Recipe:
    """The recipe in a picture, with the paths that are given again."""
    if refused := [name for name in given if name not in (*PATHS, "offline")]:
        raise OptionError(
            f"--from takes everything from the picture, so {', '.join(refused)} cannot be given with it.",
            remedy="Leave it out, or read the settings with `latentry show` and give them without --from.",
        )
    from latentry._request._generation_request import GenerationRequest
    from latentry._request._recipe import read_recipe

    recipe = read_recipe(source)
    request = build(context, GenerationRequest, {**recipe.request.model_dump(), **given})
    return recipe.model_copy(update={"request": request})


def _again(
    context: click.Context,
    engine: Engine,
    recipe: Recipe,
    given: Mapping[str, Any],
    *,
    anyway: bool,
    trust: bool,
    progress: Progress | None,
) -> GenerationResult:
    from latentry._files._policy import ANYTHING, NotTrusted, Policy

    allowed = ANYTHING if trust else Policy(roots=(Path.cwd(),), typed=_typed_paths(given), network=False)
    try:
        return engine.reproduce(recipe, anyway=anyway, policy=allowed, progress=progress)
    except NotTrusted as error:
        error.remedy = f"Add --trust, which {TRUST}."
        if error.field in PATHS:
            error.remedy = f"Give it again yourself with {spelled(context, error.field)}. Or: {error.remedy}"
        raise


def _typed_paths(given: Mapping[str, Any]) -> frozenset[str]:
    paths: set[str] = set()
    for name in PATHS:
        value = given.get(name, ())
        paths |= {value} if isinstance(value, str) else set(value)
    return frozenset(paths)


def _engine(context: click.Context, policy: Mapping[str, Any]) -> Engine:
    from latentry._generate._engine import Engine
    from latentry._request._memory_policy import MemoryPolicy

    return Engine(open_host(context), build(context, MemoryPolicy, policy))


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
