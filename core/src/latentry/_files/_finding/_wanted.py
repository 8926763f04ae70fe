"""What a model asks of schedulers, from records and headers alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from latentry._discovery import PluginHost
from latentry._errors import OptionError
from latentry._files._inspect import inspect_model
from latentry._policy import ANYTHING, Policy
from latentry._specs import ModelFamilySpec, SchedulerSpec, VariantSpec

OUTPUTS = frozenset({"uncond"})
"""What the engine can give a scheduler with each evaluation, besides the guided output."""


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
        """Whether a scheduler is right on one of its variants, as the records declare."""
        return not all(why_unfit(spec, self.family, variant) for variant in self.variants)

    @property
    def preferred(self) -> tuple[str, ...]:
        """``distribution:name`` of what its variants prefer, best first."""
        return tuple(dict.fromkeys(name for variant in self.variants for name in variant.schedulers))


def why_unfit(spec: SchedulerSpec, family: ModelFamilySpec, variant: VariantSpec) -> str:
    """Why a scheduler cannot be used with a variant under its default options, one sentence; empty where it can."""
    if why := why_unusable(spec, family):
        return why
    if variant.on_grid and ((spec.off_grid and not spec.off_grid_by) or spec.adaptive):
        return f"It evaluates the network between its steps; {variant.name} was distilled to the levels of a few steps."
    return ""


def why_unusable(spec: SchedulerSpec, family: ModelFamilySpec) -> str:
    """Why a scheduler cannot be used with a family whatever its options, one sentence; empty where it can."""
    if family.process not in spec.processes:
        kinds = ", ".join(sorted(spec.processes)) or "no"
        return f"It supports {kinds} noise processes; this model's is {family.process}."
    if lacking := spec.needs - OUTPUTS:
        return (
            f"It needs {', '.join(sorted(lacking))} from each evaluation; this version of latentry provides "
            f"{', '.join(sorted(OUTPUTS))}."
        )
    return ""


def wanted_by(host: PluginHost, model: str, policy: Policy = ANYTHING) -> Wanted:
    """What a model asks for: an installed name, a family, a variant, or a path, of which headers alone are read.

    Args:
        host: what is installed.
        model: what was given.
        policy: which paths may be looked at, where a stranger gives it.

    Raises:
        NotAllowed: the policy does not allow it.
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
    policy.check_path(model, "model")
    if not Path(model).exists():
        variants = [variant.name for name in host.families for variant in host.families[name].variants]
        raise OptionError(
            f"{model} is neither a model, a family, a variant nor a path.",
            why=f"Families: {', '.join(host.families)}. Variants: {', '.join(variants)}.",
            remedy="`latentry models` lists the installed models.",
            field="model",
        )
    seen = inspect_model(host, Path(model))
    if seen.family is None or not (names := seen.found.variants or seen.found.possible):
        raise OptionError(f"{model} is {seen.found.label}, which no scheduler can be chosen for.", field="model")
    return _variants(host, seen.family, names)


def _variants(host: PluginHost, family: str, names: tuple[str, ...]) -> Wanted:
    spec = host.families[family]
    return Wanted(spec, tuple(variant for variant in spec.variants if variant.name in names))
