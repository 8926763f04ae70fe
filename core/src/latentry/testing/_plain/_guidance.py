"""Conformance of guidance methods."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, get_args

import torch
from pydantic import ValidationError
from torch import Tensor

from latentry._discovery import PluginHost
from latentry._guidance._evaluate import Branch
from latentry._guidance._method import GuidanceMethod, GuidedQuery
from latentry._guidance._method_check import check_branches, check_guide, check_result
from latentry._numerics._layout import Layout
from latentry._numerics._processes._point import Query
from latentry._specs import BranchKind, GuidanceKind, GuidanceSpec, ProcessKind
from latentry.testing._kit._checked import Checks, Whole
from latentry.testing._kit._record import listing_of, record_faults, summed
from latentry.testing._kit._resolved import Resolved
from latentry.testing._kit._suite import Suite
from latentry.testing._networks._processes import NATURAL, process
from latentry.testing._result import CheckResult

STEPS, ROWS, SHAPE, SCALE = 6, 3, (4, 8, 8), 3.0
NEAR = 1e-9
GuidanceSource = str | type[GuidanceMethod] | GuidanceSpec
"""A name the plugin host knows, a class, or a record."""


@dataclass(frozen=True)
class GuidanceSubject(Whole):
    """A guidance method and its record.

    Attributes:
        spec: its record.
        method: with the options under which it is checked.
        host: where it comes from.
        installed: the name the host knows it by; empty for a class that no plugin registers.
    """

    spec: GuidanceSpec
    method: GuidanceMethod
    host: PluginHost = field(repr=False)
    installed: str = ""

    @classmethod
    def of(
        cls,
        source: GuidanceSource,
        *,
        spec: GuidanceSpec | None = None,
        host: PluginHost | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> GuidanceSubject:
        """Resolves a name, a class or a record.

        Args:
            source: what to check.
            spec: the record of a class; by default that of a method that takes both outputs.
            host: resolves names; by default a new one with everything that is installed.
            options: of the method.
        """
        host, options = host or PluginHost(), dict(options or {})
        found = Resolved.of(host.guidance, source, lambda target: spec or _assumed(target))
        return cls(found.spec, found.make(**options), host, found.installed)


def _assumed(source: type[GuidanceMethod]) -> GuidanceSpec:
    where = f"{source.__module__}:{source.__qualname__}"
    return GuidanceSpec(name=source.__name__.lower(), target=where, summary="")


Check = Callable[[GuidanceSubject], Iterable[CheckResult]]


def spec(subject: GuidanceSubject) -> Iterator[CheckResult]:
    """The record's fields are sane, and say what the class is.

    Troubleshooting: ``memory`` is true where the class has a ``Memory`` with fields; ``branches`` and ``kinds`` hold
    the words that ``GuidanceSpec`` names.
    """
    yield summed("spec", "a sane record", _record_faults(subject))


def _record_faults(subject: GuidanceSubject) -> Iterator[str]:
    record = subject.spec
    yield from record_faults(record, CHECKS)
    if odd := (record.branches | record.scaled_branches) - set(get_args(BranchKind)):
        yield f"branches has {', '.join(sorted(odd))}"
    if not record.kinds or record.kinds - set(get_args(GuidanceKind)):
        yield f"kinds are {sorted(record.kinds)}"
    keeps = bool(getattr(subject.method.Memory, "_fields", ()))
    if keeps != record.memory:
        yield f"memory is {record.memory}, and Memory has {'fields' if keeps else 'no fields'}"
    if record.largest is not None and record.guidance is not None and record.guidance > record.largest:
        yield f"guidance is {record.guidance:g}, above largest, {record.largest:g}"


def options(subject: GuidanceSubject) -> Iterator[CheckResult]:
    """Options are a frozen model that refuses unknown names and describes its fields.

    Troubleshooting: keep ``GuidanceMethod.model_config`` as it is, and give each field a default and a description.
    """
    target = type(subject.method)
    faults = ["options can be changed"] * (not target.model_config.get("frozen"))
    faults += [f"{name!r} has no description" for name, each in target.model_fields.items() if not each.description]
    with suppress(ValidationError):
        target.model_validate({"an_option_that_nothing_has": 1})
        faults.append("an unknown option is accepted")
    yield summed("options", "frozen, closed, described", faults)


def listing(subject: GuidanceSubject) -> Iterator[CheckResult]:
    """Listing the plugin's records imports no heavy library.

    Troubleshooting: import torch in the module that ``target`` names, never in the plugin's ``__init__.py``.
    """
    yield from listing_of(subject)


def branches(subject: GuidanceSubject) -> Iterator[CheckResult]:
    """It is a generator, asks for each branch that it declares and no other, and returns an output and its memory.

    Troubleshooting: the record decides before anything is computed what is paid for: ``GuidanceSpec(branches=...)``.
    """
    for kind in get_args(ProcessKind):
        run = _run(subject, kind)
        asked = {branch.kind for passed in run.asked for branch in passed} - {"cond"}
        unused = sorted((subject.spec.branches | subject.spec.scaled_branches) - asked)
        faults = [f"it declares {', '.join(unused)} and never asks for it"] * bool(unused)
        yield summed("branches", f"{', '.join(sorted(subject.spec.branches)) or 'cond alone'} on {kind}", faults)


def neutral(subject: GuidanceSubject) -> Iterator[CheckResult]:
    """At the declared neutral scale, the output is that of the prompt; at another it is not.

    Troubleshooting: at ``neutral`` the host asks for the prompt's output alone. It is None where no scale does that.
    """
    scale = subject.spec.neutral
    other = SCALE if scale != SCALE else SCALE + 1
    for kind in get_args(ProcessKind):
        run = _run(subject, kind, scale=other)
        faults = ["guidance has no effect"] * (run.apart_from_prompt < NEAR)
        if scale is not None:
            off = _run(subject, kind, scale=scale).apart_from_prompt
            faults += [f"at {scale:g} it is off by {off:.1e} from the prompt's output"] * (off > 1e-6)
        yield summed("neutral", f"nothing at {scale}, something at {other:g}, on {kind}", faults)


def batch(subject: GuidanceSubject) -> Iterator[CheckResult]:
    """Each picture of a batch is computed as if it were alone.

    Troubleshooting: reductions leave out the first dimension: ``.mean(dim=(1, 2, 3), keepdim=True)``.
    """
    for kind in get_args(ProcessKind):
        together = _run(subject, kind).outputs
        off = 0.0
        for row in range(ROWS):
            alone = _run(subject, kind, rows=slice(row, row + 1)).outputs
            off = max(off, *(float((a[row] - b[0]).abs().max()) for a, b in zip(together, alone, strict=True)))
        yield summed("batch", f"as alone on {kind}", [f"off by {off:.1e}"] * (off > NEAR))


def repeatable(subject: GuidanceSubject) -> Iterator[CheckResult]:
    """The same answers and memory give the same output; nothing is drawn, and nothing written into.

    Troubleshooting: what is kept goes into ``Memory``, never into ``self``; replace ``+=`` on tensors by new ones.
    """
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        before = torch.get_rng_state()
        first, again = _run(subject, "flow"), _run(subject, "flow")
        faults = ["it draws from torch's global generator"] * (not torch.equal(before, torch.get_rng_state()))
    same = all(torch.equal(a, b) for a, b in zip(first.outputs, again.outputs, strict=True))
    faults += ["another output the second time"] * (not same)
    faults += ["an answer or the sample was written into"] * first.written
    yield summed("repeatable", "the same, nothing changed", faults)


def finite(subject: GuidanceSubject) -> Iterator[CheckResult]:
    """Values are finite at every level, pure noise and the last step included, and where both outputs are the same.

    Troubleshooting: guard divisions by a norm that can be 0, and by α where a flow model starts.
    """
    for kind in get_args(ProcessKind):
        for equal in (False, True):
            run = _run(subject, kind, equal=equal)
            odd = [f"at step {i}" for i, output in enumerate(run.outputs) if not output.isfinite().all()]
            case = f"{kind}, equal outputs" if equal else kind
            yield summed("finite", "finite", odd, case=case)


@dataclass
class _Ran:
    """What became of a run through a plan's evaluations."""

    outputs: list[Tensor] = field(default_factory=list)
    prompts: list[Tensor] = field(default_factory=list)
    asked: list[tuple[Branch, ...]] = field(default_factory=list)
    written: bool = False

    @property
    def apart_from_prompt(self) -> float:
        return max(float((a - b).abs().max()) for a, b in zip(self.outputs, self.prompts, strict=True))


def _run(
    subject: GuidanceSubject,
    kind: ProcessKind,
    *,
    scale: float = SCALE,
    rows: slice = slice(None),
    equal: bool = False,
) -> _Ran:
    """Asks a method about made-up outputs at each step, in float64."""
    method, plan, ran = subject.method, _plan(kind), _Ran()
    memory = method.Memory()
    for index, point in enumerate(plan.points[:-1]):
        x = _values(index, 0)[rows]
        query = GuidedQuery(Query(x, point, point.timestep, index), plan, scale)
        answers = {False: _values(index, 1)[rows], True: _values(index, 1 if equal else 2)[rows]}
        kept = [tensor.clone() for tensor in (x, *answers.values())]
        guide: Any = method.guide(query, memory)
        check_guide(method, guide)
        output, memory = _driven(subject, guide, query, answers, ran)
        ran.outputs.append(output)
        ran.prompts.append(answers[False])
        changed = zip(kept, (x, *answers.values()), strict=True)
        ran.written |= not all(torch.equal(a, b) for a, b in changed)
    return ran


def _driven(
    subject: GuidanceSubject, guide: Any, query: GuidedQuery, answers: Mapping[bool, Tensor], ran: _Ran
) -> tuple[Tensor, Any]:
    sent = None
    while True:
        try:
            asked = guide.send(sent)
        except StopIteration as end:
            return check_result(subject.method, end.value, query.x)
        check_branches(subject.method, asked, subject.spec.branches | subject.spec.scaled_branches)
        ran.asked.append(asked)
        sent = tuple(query.answer(_output(answers, each)) for each in asked)


def _output(answers: Mapping[bool, Tensor], branch: Branch) -> Tensor:
    """The network's output for a branch; a method that writes into it is seen."""
    weakened = branch.skip_layers or branch.attention is not None or branch.weak_model
    return answers[branch.negative] * 0.9 if weakened else answers[branch.negative]


def _plan(kind: ProcessKind) -> Layout:
    on = process(kind)
    top = on.noisiest.timestep
    if kind == "edm":
        points = [on.at(lam=-4.0 + 2.0 * i) for i in range(STEPS)]
    else:
        points = [on.at(timestep=top * (STEPS - i) / STEPS) for i in range(STEPS)]
    return Layout(_NoSteps(), on, NATURAL[kind], (*points, on.clean()))  # type: ignore[arg-type]


class _NoSteps:
    """In place of a scheduler, which guidance never asks."""


def _values(index: int, which: int) -> Tensor:
    generator = torch.Generator().manual_seed(10 * index + which)
    return torch.randn(ROWS, *SHAPE, dtype=torch.float64, generator=generator)


_ALL: tuple[Check, ...] = (spec, options, listing, branches, neutral, batch, repeatable, finite)
CHECKS: Checks[GuidanceSubject] = MappingProxyType({check.__name__: check for check in _ALL})


class GuidanceSuite(Suite, checks=CHECKS):
    """The checks of a guidance method as tests: ``class TestMine(GuidanceSuite): method = "mine"``.

    Class attributes:
        method: a name that is installed, a class, or a ``GuidanceSpec``.
        spec: the record of a class that is not installed.
        options: of the method.
    """

    RECORD = "GuidanceSpec"
    method: ClassVar[GuidanceSource]
    spec: ClassVar[GuidanceSpec | None] = None
    options: ClassVar[Mapping[str, Any]] = MappingProxyType({})

    @classmethod
    def _resolved(cls) -> GuidanceSubject:
        return GuidanceSubject.of(cls.method, spec=cls.spec, options=cls.options)
