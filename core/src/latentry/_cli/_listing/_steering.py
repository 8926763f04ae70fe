"""Everything about one network that steers a model, or about one kind of them."""

from __future__ import annotations

from latentry._cli._listing._details import files_of, listed, not_checked, print_facts, print_head, print_options
from latentry._cli._listing._tables import Record, origin
from latentry._discovery import PluginHost


def print_control(host: PluginHost, item: Record) -> None:
    """Print what it is, where its files are, and what can be set."""
    name = item["select"]
    spec = host.controls[name]
    model = f" of the model {_short(spec.model)}" if spec.model else ""
    prose = f"A network of the kind {_short(spec.conditioner)}, which steers pictures{model}: --control {name}=PICTURE."
    print_head(name, spec.summary, prose)
    print_facts(
        {
            "from": f"{origin(item)}, as {item['qualified']}",
            "licence": spec.licence,
            "source": spec.citation,
            "files": files_of(host.controls, name),
            "not checked": not_checked(spec),
        }
    )
    _print_options(host, spec.conditioner)


def print_conditioner(host: PluginHost, item: Record) -> None:
    """Print which models it steers, which of its networks are installed, and what can be set."""
    name = item["select"]
    spec = host.conditioners[name]
    prose = f"Networks that steer models of {listed([_short(family) for family in spec.families])}."
    print_head(name, spec.summary, prose)
    print_facts(
        {
            "from": f"{origin(item)}, as {item['qualified']}",
            "also": ", ".join(item["aliases"]),
            "source": spec.citation,
            "installed": ", ".join(
                each for each in host.controls if host.controls[each].conditioner == item["qualified"]
            ),
            "not checked": not_checked(spec),
        }
    )
    _print_options(host, name)


def _print_options(host: PluginHost, name: str) -> None:
    if name in host.conditioners and host.conditioners[name].options:
        target = host.conditioners.load(name, "options")
        print_options(target, "Options", "(--control MODEL=PICTURE:NAME=VALUE)")


def _short(qualified: str) -> str:
    return qualified.rpartition(":")[2]
