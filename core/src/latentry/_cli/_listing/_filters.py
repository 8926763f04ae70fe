"""Which schedulers a listing keeps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from latentry._discovery import PluginHost
from latentry._errors import OptionError
from latentry._specs import ModelFamilySpec, SchedulerSpec, VariantSpec

FEW = 8
"""Steps that are few."""
DISTILLED = "latentry:distilled"


@dataclass(frozen=True)
class Wanted:
    """What a model asks of a scheduler.

    Attributes:
        family: its family.
        variants: the variants that it can be.
    """

    family: ModelFamilySpec
    variants: tuple[VariantSpec, ...]

    def fits(self, spec: SchedulerSpec) -> bool:
        """Whether a scheduler is right on it, as the records declare."""
        on_grid = all(variant.on_grid for variant in self.variants)
        return self.family.process in spec.processes and not (on_grid and (spec.off_grid or spec.adaptive))

    @property
    def preferred(self) -> tuple[str, ...]:
        """``distribution:name`` of what its variants prefer, best first."""
        return tuple(dict.fromkeys(name for variant in self.variants for name in variant.schedulers))


def wanted_by(host: PluginHost, model: str) -> Wanted:
    """What a model asks for: an installed name, a family, a variant, or a path, of which headers alone are read.

    Raises:
        OptionError: no family knows it.
    """
    if model in host.checkpoints:
        spec = host.checkpoints[model]
        return _variants(host, spec.family, (spec.variant,))
    if model in host.families:
        return Wanted(host.families[model], host.families[model].variants)
    for name in host.families:
        if found := tuple(variant for variant in host.families[name].variants if variant.name == model):
            return Wanted(host.families[name], found)
    if not Path(model).exists():
        variants = [variant.name for name in host.families for variant in host.families[name].variants]
        raise OptionError(
            f"--for {model}: it is neither a model, a family, a variant nor a path.",
            why=f"Families: {', '.join(host.families)}. Variants: {', '.join(variants)}.",
            remedy="`latentry models` lists the installed models.",
        )
    from latentry._files._inspect import inspect_model

    seen = inspect_model(host, Path(model))
    if seen.family is None or not (names := seen.found.variants or seen.found.possible):
        raise OptionError(f"--for {model}: it is {seen.found.label}, which no scheduler can be chosen for.")
    return _variants(host, seen.family, names)


def for_few_steps(spec: SchedulerSpec) -> bool:
    """Whether it has a sigma schedule of its own for few steps, at one evaluation each."""
    own = any(p.name == DISTILLED or (p.max_steps is not None and p.max_steps <= FEW) for p in spec.sigmas)
    return own and spec.evaluations == 1


def _variants(host: PluginHost, family: str, names: tuple[str, ...]) -> Wanted:
    spec = host.families[family]
    return Wanted(spec, tuple(variant for variant in spec.variants if variant.name in names))
