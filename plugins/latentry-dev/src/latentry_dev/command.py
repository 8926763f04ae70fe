"""``latentry new``."""

from __future__ import annotations

from pathlib import Path

import click

from latentry import OptionError, PluginHost
from latentry_dev.kinds import KINDS, LOOSE
from latentry_dev.project import Project, packaged_model, write_loose, write_project


@click.command()
@click.argument("kind", type=click.Choice(tuple(KINDS)))
@click.argument("name")
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="The folder to write it into; the current one by default.",
)
@click.option("--loose", is_flag=True, help="Write one file that needs no packaging.")
@click.option(
    "--model", type=click.Path(path_type=Path, exists=True), help="Of a checkpoint: the file or folder to package."
)
@click.pass_obj
def new(host: PluginHost, kind: str, name: str, into: Path, loose: bool, model: Path | None) -> None:
    """Write a project for a plugin called NAME, which passes its tests as it is.

    A name is lower-case letters and digits, joined by dashes. The project goes into a folder latentry-NAME.
    """
    project = Project(kind, name)
    if (model is None) == (kind == "checkpoint"):
        raise OptionError(
            "A checkpoint needs --model." if kind == "checkpoint" else f"--model is for checkpoints, not for a {kind}.",
            remedy="E.g. latentry new checkpoint mine --model ./my-model.",
        )
    if loose:
        if kind not in LOOSE:
            raise OptionError(f"A {kind} cannot be a single file.", remedy=f"--loose is for {', '.join(LOOSE)}.")
        path = write_loose(project, into)
        click.echo(f"{path} is written. Check it: latentry check {path}")
        click.echo(f"Use it: {KINDS[kind].use.format(name=name)} --plugin-dir {path}")
        return
    folder = write_project(project, into, packaged_model(host, model) if model else None)
    click.echo(f"{folder} is written. Its README.md says how to install and test it. Then:")
    for command in KINDS[kind].commands(name, project.module):
        click.echo(f"  {command}")
