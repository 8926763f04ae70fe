"""Everything about one sigma schedule, model, family or attention backend."""

from __future__ import annotations

from collections.abc import Sequence

from latentry._cli._listing._details import (
    files_of,
    listed,
    not_checked,
    print_facts,
    print_head,
    print_options,
    print_section,
)
from latentry._cli._listing._scheduler import PROCESSES
from latentry._cli._listing._tables import Record, origin
from latentry._cli._printing._output import Column, print_records
from latentry._discovery import PluginHost
from latentry._errors import LatentryError
from latentry._specs import ModelFamilySpec, VariantSpec


def print_sigmas(host: PluginHost, item: Record) -> None:
    """Print what it is, its options, and which schedulers prefer it."""
    spec = host.sigma_schedules[item["select"]]
    where = listed([words for kind, words in PROCESSES.items() if kind in spec.processes])
    print_head(item["select"], spec.summary, f"Places the noise levels of the steps. For the noise process {where}.")
    fond = [
        name
        for name in host.schedulers
        if any(preference.name == item["qualified"] for preference in host.schedulers[name].sigmas)
    ]
    print_facts(
        {
            "from": f"{origin(item)}, as {item['qualified']}",
            "also": ", ".join(item["aliases"]),
            "as in": spec.variant,
            "source": spec.citation,
            "preferred by": ", ".join(fond),
            "not checked": not_checked(spec),
        }
    )
    print_options(host.sigma_schedules.load(item["select"]), "Options", "(--sigma-set NAME=VALUE)")


def print_model(host: PluginHost, item: Record) -> None:
    """Print what it is, where its files are, and what it is drawn with unless one asks for something else."""
    spec = host.checkpoints[item["select"]]
    family = host.families.get(spec.family)
    variant = next((each for each in family.variants if each.name == spec.variant), None) if family else None
    default = " It is what `latentry generate` draws with where no --model is given." if spec.default else ""
    prose = f"A model of {spec.family}, variant {spec.variant}, for {spec.size} × {spec.size} pixels.{default}"
    print_head(item["select"], spec.summary, prose)
    print_facts(
        {
            "from": origin(item),
            "licence": spec.licence,
            "source": spec.citation,
            "files": files_of(host.checkpoints, item["select"]),
            "not checked": not_checked(spec),
        }
    )
    if variant is None:
        print_section(f"Its family is not installed: {spec.family}.")
        return
    print_section("Unless you ask for something else:")
    guidance = variant.guidance if spec.guidance is None else spec.guidance
    print_facts(
        {
            "scheduler": ", ".join(_short(name) for name in variant.schedulers),
            "steps": str(variant.steps),
            "guidance": f"{guidance:g} ({variant.guidance_kind})",
            "tasks": ", ".join(variant.tasks),
        }
    )


def print_family(host: PluginHost, item: Record) -> None:
    """Print its variants and the options of its conditioning."""
    name = item["select"]
    spec: ModelFamilySpec = host.families[name]
    prose = f"An architecture with the noise process {PROCESSES[spec.process]}. Its variants can be asked for by name."
    print_head(name, spec.summary, prose)
    print_facts(
        {
            "from": f"{origin(item)}, as {item['qualified']}",
            "also": ", ".join(item["aliases"]),
            "source": spec.citation,
            "can do without": ", ".join(spec.optional_parts),
            "not checked": not_checked(spec),
        }
    )
    print_section("Variants (--variant NAME), with what suits them:")
    columns = (
        Column("  name", lambda one: f"  {one.name}"),
        Column("size", lambda one: str(one.size or "-")),
        Column("steps", lambda one: str(one.steps)),
        Column("guidance", lambda one: f"{one.guidance:g}"),
        Column("schedulers", _schedulers),
        Column("tasks", lambda one: ", ".join(one.tasks), rank=3),
        Column("summary", lambda one: one.summary, rank=2, cut=True),
    )
    print_records(columns, spec.variants)
    if spec.conditioning:
        print_options(host.families.load(name, "conditioning"), "Conditioning", "(--condition NAME=VALUE)")


def print_attention(host: PluginHost, item: Record) -> None:
    """Print whether it can be used here, and what it can be asked for."""
    spec = host.attention_backends[item["select"]]
    here = "It can be used here." if item["available"] else f"It cannot be used here: {item['reason']}"
    print_head(item["select"], spec.summary, here)
    print_facts(
        {
            "from": f"{origin(item)}, as {item['qualified']}",
            "also": ", ".join(item["aliases"]),
            "devices": ", ".join(sorted(spec.devices)),
            "dtypes": ", ".join(sorted(spec.dtypes)),
            "limits": item["limits"],
            "lacks": ", ".join(item["lacks"]),
            "rank": f"{spec.rank}; auto takes the highest that can be used",
            "not checked": not_checked(spec),
            "install": f"pip install '{spec.extra}'" if spec.extra else "",
            "source": spec.citation,
        }
    )
    try:
        target = host.attention_backends.load(item["select"])
    except LatentryError as error:
        print_section(f"Its options cannot be read: {error.why or error.what}")
        return
    print_options(target, "Options", "(--attention-set NAME=VALUE)")


def print_guidance(host: PluginHost, item: Record) -> None:
    """Print what it is, what it evaluates, and its options."""
    spec = host.guidance[item["select"]]
    memory = " It remembers earlier steps." if spec.memory else ""
    print_head(item["select"], spec.summary, f"{_evaluates(sorted(spec.branches))}{memory}")
    print_facts(
        {
            "from": f"{origin(item)}, as {item['qualified']}",
            "also": ", ".join(item["aliases"]),
            "networks": ", ".join(sorted(spec.kinds)),
            "not checked": not_checked(spec),
            "source": spec.citation,
        }
    )
    print_options(host.guidance.load(item["select"]), "Options", "(--guidance-set NAME=VALUE)")


def _evaluates(branches: Sequence[str]) -> str:
    return f"Besides the output with the prompt it takes the branch {listed(branches)}." if branches else ""


def _schedulers(variant: VariantSpec) -> str:
    return ", ".join(_short(name) for name in variant.schedulers)


def _short(qualified: str) -> str:
    return qualified.rpartition(":")[2]
