"""Jobs: requests that are drawn one after another, each with where its settings come from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentry._cli._drawing._trust import TRUST, Trust
from latentry._cli._field_options import build, settings_used, spelled
from latentry._errors import NotAllowed, OptionError, RecipeDiffers

if TYPE_CHECKING:
    from latentry._contract._progress import Progress
    from latentry._discovery import PluginHost
    from latentry._generate._batch._decode import Finished
    from latentry._generate._engine import Engine
    from latentry._request._derived import Derived
    from latentry._request._generation_request import GenerationRequest
    from latentry._request._recipe import Recipe
    from latentry._request._result import GenerationResult

PATHS = (
    *("model", "vae", "text_encoders", "tokenizer", "config"),
    *("refiner", "guidance_model", "init_image", "mask", "references", "plan"),
)
"""Fields of a request that name files. They can be given again with ``--from``, and so can ``offline``."""


@dataclass(frozen=True)
class Job:
    """One request.

    Attributes:
        request: what is wanted.
        recipe: of the one picture that is wanted; None for all of the request's.
        derived: the picture whose settings were taken.
        notes: what to tell about it, one sentence each.
        anyway: draw though files or versions differ from the recipe's.
    """

    request: GenerationRequest
    recipe: Recipe | None = None
    derived: Derived | None = None
    notes: tuple[str, ...] = ()
    anyway: bool = False

    @property
    def pictures(self) -> int:
        """Number of pictures."""
        return len(self.request.prompts) if self.recipe is None else 1


def typed_job(context: click.Context, given: Mapping[str, Any], notes: tuple[str, ...] = ()) -> Job:
    """The job of what was typed.

    Raises:
        OptionError: there is no prompt, or a field cannot have its value.
    """
    if not given.get("prompt"):
        raise OptionError(
            "There is no prompt.", remedy='Give one, e.g. latentry generate "a red circle left of a blue square".'
        )
    from latentry._request._generation_request import GenerationRequest

    return Job(build(context, GenerationRequest, given), notes=notes)


def picture_job(
    context: click.Context, host: PluginHost, source: Path, given: Mapping[str, Any], notes: tuple[str, ...] = ()
) -> Job:
    """The job that makes a picture again, or the same with fields changed.

    Raises:
        RecipeError: it has no settings that are understood.
        OptionError: a field cannot be given with ``--from``, or cannot have its value.
    """
    from latentry._pictures._foreign import read_foreign
    from latentry._pictures._reading import read_texts
    from latentry._request._recipe import read_recipe

    if "count" in given:
        raise OptionError(
            "--from makes one picture, so --count cannot be given with it.", remedy="Give several seeds: --seed 1..4."
        )
    texts = read_texts(source)
    foreign = None if texts.recipe is not None else read_foreign(texts)
    if foreign is None:
        job = _recipe_job(context, read_recipe(source), texts.recipe or "", given)
    else:
        job = _foreign_job(context, host, foreign, texts.by_name, given)
    return replace(job, notes=(*notes, *job.notes))


def _recipe_job(context: click.Context, recipe: Recipe, text: str, given: Mapping[str, Any]) -> Job:
    from latentry._request._changed import changed_fields, kept_plugins
    from latentry._request._derived import derived
    from latentry._request._generation_request import GenerationRequest

    changed = {name: value for name, value in given.items() if name not in (*PATHS, "offline")}
    request = build(context, GenerationRequest, changed_fields(recipe, given))
    if not changed:
        return Job(request, recipe.model_copy(update={"request": request}), recipe.derived)
    others = {"request": request, "plugins": kept_plugins(recipe, changed)}
    others |= {} if request.plan == recipe.request.plan else {"plan": ""}
    # the sums of LoRAs, controls and embeddings are compared one by one: others have none to compare with
    return Job(
        request,
        recipe.model_copy(update=others),
        derived("Latentry", text, changed),
        anyway=bool({"loras", "controls", "embeddings"} & changed.keys()),
    )


def _foreign_job(
    context: click.Context, host: PluginHost, foreign: Any, texts: Mapping[str, str], given: Mapping[str, Any]
) -> Job:
    from latentry._generate._adopt import adopt
    from latentry._request._derived import derived
    from latentry._request._generation_request import GenerationRequest

    adopted = adopt(host, foreign, given)
    request = build(context, GenerationRequest, {"prompt": "", **adopted.fields})
    text = "\n".join(f"{name}: {texts[name]}" for name in sorted(texts))
    return Job(request, None, derived(foreign.program, text, given), adopted.notes)


def checked(context: click.Context, engine: Engine, jobs: Sequence[Job], progress: Progress | None) -> list[Job]:
    """The jobs without settings of one's own that have no effect on them. What is wrong with any of several jobs is
    found before the first is drawn.

    Raises:
        LatentryError: see ``Engine.prepare``.
    """
    settings, found, kept = settings_used(context), dict[str, Mapping[str, str]](), list[Job]()
    if len(jobs) == 1 and not settings:
        return list(jobs)
    unlike = {"seed", "prompt", "negative"} - settings.keys()
    for job in jobs:
        if job.recipe is None:
            by_words = job.request.embeddings or job.request.prompt_syntax != "plain"  # which the words may not need
            alike = job.request.model_dump_json(exclude={"seed"} if by_words else unlike)
            if alike not in found:
                found[alike] = _idle_settings(engine, job.request, settings, progress)
            job = replace(job, request=_without(job.request, found[alike]), notes=(*job.notes, *found[alike].values()))
        kept.append(job)
    return kept


def _idle_settings(
    engine: Engine, request: GenerationRequest, settings: Mapping[str, str], progress: Progress | None
) -> Mapping[str, str]:
    """The settings that have no effect on a request, with what to say of each."""
    idle: dict[str, str] = {}
    while True:
        try:
            engine.prepare(_without(request, idle), progress=progress)
        except OptionError as error:
            found = (error.idle & settings.keys()) - idle.keys()
            if not found:
                raise
            idle |= {
                name: f"{settings[name]} has no effect here, and is left out. {error.why}" for name in sorted(found)
            }
        else:
            return idle


def _without(request: GenerationRequest, fields: Collection[str]) -> GenerationRequest:
    known = type(request).model_fields
    return request.model_copy(update={name: known[name].get_default() for name in fields}) if fields else request


def counted(progress: Progress, number: int, jobs: int) -> Progress:
    """A progress that says which job it is of."""
    if jobs == 1:
        return progress
    return lambda event: progress(replace(event, text=f"{number} of {jobs}: {event.text}"))


def draw(
    context: click.Context,
    engine: Engine,
    job: Job,
    trust: Trust,
    *,
    anyway: bool,
    progress: Progress | None,
    finished: Finished,
) -> GenerationResult:
    """Draw a job's pictures, and hand them out batch by batch."""
    if job.recipe is None:
        return engine.generate(job.request, progress=progress, finished=finished)
    from latentry._policy import ANYTHING, Policy

    allowed = ANYTHING if trust.everything else Policy(roots=(Path.cwd(),), typed=trust.typed, downloads=False)
    try:
        result = engine.reproduce(job.recipe, anyway=anyway or job.anyway, policy=allowed, progress=progress)
    except RecipeDiffers as error:
        error.remedy = f"{error.remedy} --anyway does so."
        raise
    except NotAllowed as error:
        error.what = f"The recipe asks for what was not typed. {error.what}"
        error.remedy = f"Add --trust, which {TRUST}."
        if error.field in PATHS:
            error.remedy = f"Give it again yourself with {spelled(context, error.field)}. Or: {error.remedy}"
        raise
    finished(result)
    return result


def typed_paths(given: Mapping[str, Any]) -> frozenset[str]:
    """The paths that were typed, which may be opened wherever they lead."""
    paths: set[str] = {str(lora["path"]) for lora in given.get("loras", ())}
    paths |= {str(embedding["path"]) for embedding in given.get("embeddings", ())}
    names = ("model", "picture", "mask")
    paths |= {str(control[name]) for control in given.get("controls", ()) for name in names if control.get(name)}
    for name in PATHS:
        value = given.get(name, ())
        paths |= {value} if isinstance(value, str) else set(value)
    return frozenset(paths)
