"""``latentry plan``: a plan as formulas, and as a file that any program can run."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from latentry._cli._field_options import FieldCommand, FieldOption, build, options_of, typed_fields
from latentry._cli._global_options import open_host
from latentry._cli._listing._records import plain
from latentry._cli._printing._output import say
from latentry._errors import IncompatibleError, OptionError, counted
from latentry._specs import ProcessKind

if TYPE_CHECKING:
    from latentry._discovery import PluginHost
    from latentry._numerics._plan import Plan
    from latentry._numerics._processes._process import Process
    from latentry._numerics._table._file import PlanFile

FIELDS = (
    "variant", "revision", "offline", "scheduler_options", "sigmas", "sigma_options", "final", "steps",
    "width", "height",
)  # fmt: skip
DECIDED = ("scheduler_options", "sigmas", "sigma_options", "final")
STEPS = 20
OF_A_MODEL = ("variant", "revision", "offline", "width", "height")
"""Fields that say nothing without a model."""


@click.group()
def plan() -> None:
    """Show a scheduler's plan as formulas, or export it."""


def _fields() -> Iterator[FieldOption]:
    from latentry._request._generation_request import GenerationRequest

    yield from options_of(GenerationRequest, only=FIELDS)


def _planned(function: Callable[..., None]) -> Callable[..., None]:
    """The argument and the options that say which plan; the function is given its file."""

    @click.argument("name")
    @click.option(
        "--model", metavar="MODEL", help="Folder, file, installed name, or owner/name on the Hub that the plan is for."
    )
    @click.option(
        "--process",
        type=click.Choice(get_args(ProcessKind)),
        help="Noise process of the plan without a model: Stable Diffusion's, a rectified flow or EDM.  [default: vp]",
    )
    @click.pass_context
    @functools.wraps(function)
    def planned(
        context: click.Context, /, name: str, model: str | None, process: ProcessKind | None, **rest: Any
    ) -> None:
        given = typed_fields(context)
        if model is None:
            made = _of_process(context, name, process or "vp", given)
        else:
            made = _of_model(context, name, process, {**given, "model": model})
        function(made, **{key: value for key, value in rest.items() if key not in FIELDS})

    return planned


@plan.command(cls=FieldCommand, fields=_fields, own_heading="Plan")
@_planned
def show(made: PlanFile) -> None:
    """Print what each step of the scheduler NAME computes, in formulas.

    xN are samples, outN.M outputs of the network, noiseN.M draws of noise and rowN.M what lies between.
    """
    from latentry._numerics._table._formula import formulas

    table = made.table
    say(
        f"{counted(len(table.steps), 'step')}, {counted(len(table.evaluations), 'evaluation')}; "
        f"{table.process}, {table.prediction}"
    )
    for line in formulas(table):
        say(line)


@plan.command(cls=FieldCommand, fields=_fields, own_heading="Plan")
@click.option("--output", metavar="FILE", type=Path, help="File to write; standard output if not given.")
@click.option("--overwrite", is_flag=True, help="Overwrite an existing file.")
@_planned
def export(made: PlanFile, output: Path | None, overwrite: bool) -> None:
    """Write the plan of the scheduler NAME as JSON, for generate --plan and for other programs."""
    text = made.to_json()
    if output is None:
        say(text.rstrip())
        return
    if output.exists() and not overwrite:
        raise OptionError(f"{output} exists.", remedy="Add --overwrite, or give another name.")
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OptionError(f"{output} cannot be written: {error.strerror}.") from error


def _of_model(context: click.Context, name: str, process: str | None, given: Mapping[str, Any]) -> PlanFile:
    """The plan that a request to a model would follow."""
    from latentry._generate._engine import Engine
    from latentry._request._generation_request import GenerationRequest

    if process is not None:
        raise OptionError("--process has no effect with --model.", why="The model has a noise process of its own.")
    request = build(context, GenerationRequest, {"prompt": "", "scheduler": name, **given})
    host = open_host(context)
    setup = Engine(host).prepare(request)
    about: dict[str, Any] = plain(setup.request.model_dump(include={"scheduler", *DECIDED}))
    about |= {"model": setup.located.name, "model_fingerprint": setup.fingerprints(setup.located.files)}
    return _file(host, setup.plan, about)


def _of_process(context: click.Context, name: str, kind: ProcessKind, given: Mapping[str, Any]) -> PlanFile:
    """The plan on a noise process alone, with the prediction type of most of its models."""
    from latentry._contract._noise_settings import NoiseSettings
    from latentry._numerics._processes._prediction import Prediction
    from latentry._request._generation_request import GenerationRequest
    from latentry._resolve._planning._on_process import plan_on_process

    if useless := [field for field in OF_A_MODEL if field in given]:
        raise OptionError(f"The option {useless[0]} has no effect without a model.", remedy="Add --model.")
    host, request = open_host(context), build(context, GenerationRequest, {"prompt": "", **given})
    prediction = {"vp": Prediction.EPSILON, "flow": Prediction.FLOW, "edm": Prediction.EDM}[kind]
    found = plan_on_process(
        host,
        name,
        NoiseSettings(_process(kind), prediction),
        request.steps or (len(request.sigmas) if isinstance(request.sigmas, tuple) else STEPS),
        options=request.scheduler_options,
        sigmas=request.sigmas,
        sigma_options=request.sigma_options,
        final=request.final,
    )
    return _file(host, found.plan, plain({**found.scheduler.decided, **found.sigmas.decided}))


def _process(kind: ProcessKind) -> Process:
    from latentry._numerics._processes._edm import EDM
    from latentry._numerics._processes._flow import Flow
    from latentry._numerics._processes._variance_preserving import VariancePreserving

    if kind == "vp":
        return VariancePreserving.from_betas()
    return Flow() if kind == "flow" else EDM()


def _file(host: PluginHost, made: Plan, about: Mapping[str, Any]) -> PlanFile:
    """The plan's table with what it was made by.

    Raises:
        IncompatibleError: the plan is not a table.
    """
    from latentry._numerics._table._file import PlanFile
    from latentry._numerics._table._table import NoTable

    table = made.table()
    if isinstance(table, NoTable):
        raise IncompatibleError("The plan cannot be written as numbers.", why=table.reason)
    name = about["scheduler"]
    owner = host.schedulers.provenance(name)
    versions = {"latentry": host.core_version, owner.distribution: owner.version}
    return PlanFile(table, {**about, "revision": host.schedulers[name].revision, "versions": versions})
