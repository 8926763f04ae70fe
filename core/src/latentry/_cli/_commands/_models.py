"""``latentry models``: the models that have a name, and giving names to one's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from latentry._cli._commands._listings import models as listing
from latentry._cli._common_options import complete_files
from latentry._cli._global_options import open_host
from latentry._cli._own_models._names import OwnModel, own_models, to_name, write
from latentry._cli._printing._output import say
from latentry._errors import LatentryError, ModelError, OptionError

if TYPE_CHECKING:
    from latentry._discovery import PluginHost


class _Models(click.Group):
    """Lists, as long as no sub-command is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Models, options_metavar="", subcommand_metavar="[NAME]... | add PATH | remove NAME")
def models() -> None:
    """List the models that have a name, or give one to your own."""


models.add_command(listing, "list")


@models.command()
@click.argument("path", type=Path, shell_complete=complete_files)
@click.option("--name", help="Made of the file's name if not given.")
@click.option("--variant", help="Where its files leave several open.")
@click.option("--guidance", type=float, help="Guidance scale that suits it.")
@click.pass_context
def add(context: click.Context, path: Path, name: str | None, variant: str | None, guidance: float | None) -> None:
    """Give the model at PATH a name; of a folder of models, each file that is one.

    It is recognised once. From then on the name can be given wherever a model can.
    """
    host, known = open_host(context), own_models()
    found = list(_found(host, path, variant, guidance))
    if name is not None and len(found) > 1:
        raise OptionError(f"--name {name}: {path} holds {len(found)} models.", remedy="Leave the name out.")
    for file, model in found:
        own = to_name(file.stem if file.is_file() else file.name) if name is None else name
        if own != to_name(own):
            raise OptionError(
                f"--name {own} is not a name.", remedy=f"Use lower case, digits and dashes: {to_name(own)}."
            )
        if own in host.checkpoints or own in known:
            raise OptionError(
                f"There is a model {own!r} already.",
                remedy=f"Give another --name, or remove it: latentry models remove {own}."
                if own in known
                else "Give another --name.",
            )
        known[own] = model
        say(f"{own}: {model.family.rpartition(':')[2]}, {model.variant}, {model.path}")
    write(known)


@models.command()
@click.argument("name")
def remove(name: str) -> None:
    """Take a name away that was given with add; the model's files stay."""
    known = own_models()
    if name not in known:
        raise OptionError(
            f"You have not added a model {name!r}.",
            remedy=f"You have added {', '.join(known)}." if known else "You have added none.",
        )
    path = known.pop(name).path
    write(known)
    say(f"{name} is forgotten; its files stay: {path}")


def _found(
    host: PluginHost, path: Path, variant: str | None, guidance: float | None
) -> Iterator[tuple[Path, OwnModel]]:
    """The model at a path, or those in a folder that is not one itself."""
    try:
        yield path, _recognised(host, path, variant, guidance)
        return
    except ModelError:
        inside = [entry for entry in sorted(path.iterdir()) if _may_be_model(entry)] if path.is_dir() else []
        if not inside:
            raise
    kept = 0
    for entry in inside:
        try:
            model = _recognised(host, entry, variant, guidance)
        except LatentryError as error:
            say(f"{entry.name} is left out: {error.what}")
            continue
        kept += 1
        yield entry, model
    if not kept:
        raise ModelError(
            f"{path} contains no model that a family recognises.", remedy="Give the file or the folder of one."
        )


def _may_be_model(entry: Path) -> bool:
    return (entry / "model_index.json").exists() or entry.suffix in (".safetensors", ".gguf")


def _recognised(host: PluginHost, path: Path, variant: str | None, guidance: float | None) -> OwnModel:
    from latentry._files._finding._locate import locate

    located = locate(host, str(path.absolute()), variant)
    checkpoint = host.families.load(located.family)(located.files, located.variant.name)
    return OwnModel(located.name, located.family, located.variant.name, checkpoint.size, guidance)
