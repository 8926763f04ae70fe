"""Conformance of conditioners: what they inject fits the model, and steers it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from latentry._attention._arithmetic import EagerAttention
from latentry._conditioning._controls import Control, Controls
from latentry._conditioning._mask import ControlMask
from latentry._contract._conditioner import Conditioner, Inject
from latentry._contract._conditioning import Conditioning, PromptSettings
from latentry._contract._model import Model
from latentry._discovery import PluginHost
from latentry._errors import IncompatibleError, LatentryError
from latentry._files._finding._locate import locate
from latentry._files._recognise import SURE
from latentry._memory._offload import offloaded
from latentry._memory._residency import Move
from latentry._numerics._processes._point import Query
from latentry._request._memory_policy import MemoryPolicy
from latentry._request._values._control import ControlRequest
from latentry._specs import ConditionerSpec, ModelFiles
from latentry.testing._kit._checked import Checks, Whole, load_target
from latentry.testing._kit._record import listing_of, record_faults, summed
from latentry.testing._kit._suite import Suite
from latentry.testing._result import CheckResult, not_run

CPU = torch.device("cpu")
NEAR = 1e-4
"""As a share of the largest value: float32, in batches of other sizes."""


class Pair(NamedTuple):
    """A conditioner and a model that it steers.

    Attributes:
        conditioner: folder or file.
        model: folder, file or installed name.
        options: that the conditioner needs.
    """

    conditioner: Path
    model: Path | str
    options: Mapping[str, Any] = MappingProxyType({})


class Steered(NamedTuple):
    """A model in memory with a prepared conditioner, and what both are given."""

    model: Model
    conditioner: Conditioner
    prepare: Callable[[], Inject]
    inject: Inject
    points: tuple[str, ...]
    x: Tensor
    query: Query
    conditioning: Conditioning

    def injected(
        self,
        weight: float = 1.0,
        *,
        rows: slice = slice(None),
        branches: str = "both",
        mask: ControlMask | None = None,
    ) -> dict[str, Tensor]:
        """What it injects for some rows, the second of which is that of a negative prompt."""
        asked = ControlRequest(model="", picture="", weight=weight, branches=branches)
        control = Control(self.conditioner, self.inject, asked, self.points, mask)
        query, negative = replace(self.query, x=self.x[rows]), [False, True][rows]
        with torch.no_grad():
            steer = Controls((control,)).at(query, negative)
            return steer(self.x[rows], query.timestep, self._rows(rows)) if steer else {}

    def predicted(self, injected: Mapping[str, Tensor] | None, *, rows: slice = slice(None)) -> Tensor:
        """The model's output."""
        options: dict[str, Any] = {"injected": injected} if injected else {}
        with torch.no_grad():
            return self.model.predict(self.x[rows], self.query.timestep, self._rows(rows), **options)

    def _rows(self, rows: slice) -> Conditioning:
        return Conditioning({name: tensor[rows] for name, tensor in self.conditioning.tensors.items()})


@dataclass(frozen=True)
class ConditionerSubject(Whole):
    """A conditioner's record, and networks to check it with.

    Attributes:
        spec: its record.
        pairs: of networks; by default the installed controls with their models.
        host: where names are resolved.
        installed: the name the host knows it by; empty for a record that no plugin registers.
    """

    spec: ConditionerSpec
    pairs: tuple[Pair, ...]
    host: PluginHost = field(repr=False)
    installed: str = ""
    _kept: dict[int, Steered] = field(default_factory=dict, repr=False, hash=False, compare=False)

    @classmethod
    def of(
        cls,
        source: str | ConditionerSpec,
        *,
        pairs: Sequence[Pair] | None = None,
        host: PluginHost | None = None,
    ) -> ConditionerSubject:
        """Resolves a name or a record.

        Args:
            source: what to check.
            pairs: networks, and models that they steer.
            host: resolves names; by default a new one with everything that is installed.
        """
        host = host or PluginHost()
        installed, spec = (source, host.conditioners[source]) if isinstance(source, str) else ("", source)
        if pairs is None:
            pairs = list(_installed(host, host.conditioners.qualified(installed))) if installed else []
        return cls(spec, tuple(pairs), host, installed)

    def imported(self, target: str) -> Any:
        """What a field of the record names."""
        if self.installed:
            return self.host.conditioners.load(self.installed, target)
        return load_target(getattr(self.spec, target))

    def options(self, pair: Pair) -> Any:
        """The options of a pair as an object; None where the record has none."""
        return self.imported("options")(**pair.options) if self.spec.options else None

    def opened(self, pair: Pair) -> tuple[Any, Any, str]:
        """The conditioner's checkpoint, the model's, and the model's family."""
        located = locate(self.host, str(pair.model), None)
        base = self.host.families.load(located.family)(located.files, located.variant.name)
        return self.imported("target")(ModelFiles(pair.conditioner), located.family, base), base, located.family

    def steered(self, pair: Pair) -> Steered:
        """The networks in float32 on the CPU, loaded once."""
        if id(pair) not in self._kept:
            self._kept[id(pair)] = self._loaded(pair)
        return self._kept[id(pair)]

    def _loaded(self, pair: Pair) -> Steered:
        checkpoint, base, family = self.opened(pair)
        model, conditioner = base.load(CPU, torch.float32), checkpoint.load(CPU, torch.float32)
        for each in (model, conditioner):
            each.set_attention(EagerAttention())  # some inject into attention, which native layers do not allow
        side, generator = base.size, torch.Generator().manual_seed(0)
        picture = torch.rand((1, 3, side, side), generator=generator) * 2 - 1
        prepare = partial(conditioner.prepare, model, picture, self.options(pair), 0)
        with torch.no_grad():
            inject = prepare()
            prompts = [
                model.encode_prompt([text], PromptSettings(side, side, negative, guidance=3.0))
                for text, negative in (("a red circle", False), ("a blue square", True))
            ]
        process = base.noise.process
        point = process.at(timestep=process.noisiest.timestep * 0.5) if process.kind != "edm" else process.at(lam=0.0)
        x = torch.randn((2, *base.latent_shape(side, side)), generator=generator) * point.scale
        points = self.host.families[family].injection_points
        query = Query(x, point, point.timestep)
        return Steered(model, conditioner, prepare, inject, points, x, query, Conditioning.stacked(prompts))


def _installed(host: PluginHost, kind: str) -> Iterator[Pair]:
    for name in host.controls:
        spec = host.controls[name]
        if spec.conditioner == kind and spec.model in host.checkpoints:
            yield Pair(Path(host.controls.load(name)()), spec.model)


Check = Callable[[ConditionerSubject], Iterable[CheckResult]]


def spec(subject: ConditionerSubject) -> Iterator[CheckResult]:
    """The record's fields are sane.

    Troubleshooting: ``families`` are written ``distribution:name``, and those that are installed have injection points.
    """
    families = subject.host.families
    faults = list(record_faults(subject.spec, CHECKS))
    faults += [
        f"the family {name} has no injection points"
        for name in subject.spec.families
        if name in families and not families[name].injection_points
    ]
    yield summed("spec", "a sane record", faults)


def listing(subject: ConditionerSubject) -> Iterator[CheckResult]:
    """Listing the plugin's records imports no heavy library.

    Troubleshooting: import torch in the module that ``target`` names, never in the plugin's ``__init__.py``.
    """
    yield from listing_of(subject)


def detection(subject: ConditionerSubject) -> Iterator[CheckResult]:
    """The detector recognises the networks, and does not take a model for one.

    Troubleshooting: look for a name of a tensor, or a key of a configuration, that only such networks have.
    """
    detect = subject.imported("detector")
    for pair in subject.pairs:
        found, other = detect(ModelFiles(pair.conditioner)), detect(locate(subject.host, str(pair.model), None).files)
        faults = ["it does not recognise the network"] * (found is None or found.score < SURE or not found.variants)
        faults += ["it takes the model for one"] * (other is not None and other.score >= SURE)
        yield summed("detection", "the network, and not the model", faults, case=_case(pair))


def points(subject: ConditionerSubject) -> Iterator[CheckResult]:
    """What is injected belongs to points of the family, has the batch first, is finite, and steers the model.

    Troubleshooting: ``ModelFamilySpec.injection_points`` lists the points; tensors have the batch, or 1, first.
    """
    for pair in subject.pairs:
        steered = subject.steered(pair)
        try:
            injected = steered.injected()
        except LatentryError as error:
            yield summed("points", "known points", [error.what], case=_case(pair))
            continue
        faults = [f"{name} has {len(each)} rows" for name, each in injected.items() if len(each) not in (1, 2)]
        faults += [f"{name} is not finite" for name, each in injected.items() if not each.isfinite().all()]
        plain = steered.predicted(None)
        faults += ["it has no effect"] * (_apart(steered.predicted(injected), plain) < NEAR)
        small = _apart(steered.predicted(steered.injected(1e-6)), plain)
        faults += [f"at weight 1e-6 it changes the output by {small:.1e}"] * (small > 1e-3)
        yield summed("points", "known, finite, effective", faults, case=_case(pair))


def batch(subject: ConditionerSubject) -> Iterator[CheckResult]:
    """Each row of a batch is steered as if it were alone, and one that is not to be steered is not.

    Troubleshooting: nothing may be reduced over the first dimension; ``query.negative`` says of each row which it is.
    """
    for pair in subject.pairs:
        steered = subject.steered(pair)
        together, faults = steered.predicted(steered.injected()), []
        for row in range(2):
            rows = slice(row, row + 1)
            alone = steered.predicted(steered.injected(rows=rows), rows=rows)
            off = _apart(together[rows], alone)
            faults += [f"row {row} is off by {off:.1e}"] * (off > NEAR)
        other = steered.predicted(steered.injected(branches="prompt"))[1:]
        off = _apart(other, steered.predicted(None)[1:])
        faults += [f"a row that is not to be steered changes by {off:.1e}"] * (off > NEAR)
        yield summed("batch", "as alone", faults, case=_case(pair))


def masks(subject: ConditionerSubject) -> Iterator[CheckResult]:
    """Within a mask that is white everywhere it steers as without one, and within a black one not at all.

    Troubleshooting: what is injected must have the picture's places, or the record says ``own_mask`` and
    ``ControlQuery.mask`` is heeded. One whose mask is refused, since what it injects is the same everywhere, passes.
    """
    for pair in subject.pairs:
        steered = subject.steered(pair)
        levels = torch.ones(1, 1, *(8 * side for side in steered.x.shape[-2:]))
        whole, none = (ControlMask(level * levels, subject.spec.own_mask) for level in (1.0, 0.0))
        try:
            off = _apart(steered.predicted(steered.injected(mask=whole)), steered.predicted(steered.injected()))
        except IncompatibleError:
            yield summed("masks", "as without, or not at all", [], case=_case(pair))
            continue
        faults = [f"a white mask changes the output by {off:.1e}"] * (off > NEAR)
        off = _apart(steered.predicted(steered.injected(mask=none)), steered.predicted(None))
        faults += [f"within a black mask it still changes the output by {off:.1e}"] * (off > NEAR)
        yield summed("masks", "as without, or not at all", faults, case=_case(pair))


def repeatable(subject: ConditionerSubject) -> Iterator[CheckResult]:
    """The same query gives the same tensors; nothing is drawn, and nothing that is given is written into.

    Troubleshooting: ``prepare`` returns a function that keeps no state; replace ``+=`` on tensors by new ones.
    """
    for pair in subject.pairs:
        steered = subject.steered(pair)
        given = [steered.x, *steered.conditioning.tensors.values()]
        kept, before = [each.clone() for each in given], torch.get_rng_state()
        first, again = steered.injected(), steered.injected()
        faults = ["other tensors the second time"] * any(not torch.equal(first[name], again[name]) for name in first)
        faults += ["it draws from torch's global generator"] * (not torch.equal(before, torch.get_rng_state()))
        faults += ["it writes into what it is given"] * any(
            not torch.equal(a, b) for a, b in zip(kept, given, strict=True)
        )
        yield summed("repeatable", "the same, nothing changed", faults, case=_case(pair))


def offload(subject: ConditionerSubject) -> Iterator[CheckResult]:
    """With weights that wait elsewhere, as a whole or block by block, it injects the same.

    Troubleshooting: call modules; what reads a weight outside its module's ``forward``, or calls the items of a
    ``ModuleList`` by other means than their ``forward``, finds it in main memory.
    """
    for pair in subject.pairs:
        steered = subject.steered(pair)
        expected = steered.injected()
        for mode in ("model", "blocks"):
            with ExitStack() as stack:
                move = stack.enter_context(_away(steered.conditioner))
                stack.enter_context(
                    offloaded(steered.conditioner, device=CPU, policy=MemoryPolicy(offload=mode), move=move)
                )
                stack.enter_context(torch.no_grad())
                found = steered._replace(inject=steered.prepare()).injected()
            far = [name for name in expected if not _apart(found[name], expected[name]) <= NEAR]  # nor if it is NaN
            faults = [f"{len(far)} tensors are made from weights that are not there"] * bool(far)
            yield summed("offload", mode, faults, case=_case(pair))


@contextmanager
def _away(conditioner: Conditioner) -> Iterator[Move]:
    """Weights that are NaN where they wait, as if no device could read them; gives what copies them to the device."""
    networks = conditioner.networks.values()
    weights = [each for network in networks for each in network.parameters() if each.is_floating_point()]
    kept = {id(each): each.detach().clone() for each in weights}
    try:
        for each in weights:
            each.data.fill_(torch.nan)
        yield lambda tensor, device: kept.get(id(tensor), tensor).clone()
    finally:
        for each in weights:
            each.data.copy_(kept[id(each)])


def _case(pair: Pair) -> str:
    return Path(pair.conditioner).name


def _apart(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max().clamp(min=1e-9))


def networks(subject: ConditionerSubject) -> Iterator[CheckResult]:
    """There are networks to check it with.

    Troubleshooting: give the suite ``pairs``, or install a control that names its model.
    """
    if not subject.pairs:
        yield not_run("networks", "neither pairs of networks were given, nor is a control of this kind installed")


_ALL: tuple[Check, ...] = (spec, listing, networks, detection, points, batch, masks, repeatable, offload)
CHECKS: Checks[ConditionerSubject] = MappingProxyType({check.__name__: check for check in _ALL})


class ConditionerSuite(Suite, checks=CHECKS):
    """The checks of a conditioner as tests.

    ::

        class TestMine(ConditionerSuite):
            conditioner = "mine"

            @classmethod
            def pairs(cls, folder):
                return [Pair(write_small_network(folder / "net"), write_small_model(folder / "model"))]

    Class attributes:
        conditioner: a name that is installed, or a ``ConditionerSpec``.
    """

    RECORD = "ConditionerSpec"
    conditioner: ClassVar[str | ConditionerSpec]

    @classmethod
    def pairs(cls, folder: Path) -> Sequence[Pair] | None:
        """Networks and models that they steer, small ones of random weights; None for the installed controls.

        Args:
            folder: empty, for what is written; it lasts as long as the class.
        """
        return None

    @classmethod
    def _resolved(cls) -> ConditionerSubject:
        return ConditionerSubject.of(cls.conditioner, pairs=cls.pairs(cls._scratch()))
