"""``latentry convert``: a model in another layout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from latentry._cli._common_options import json_option, quiet_option
from latentry._cli._field_options import FieldCommand, FieldOption, options_of, typed_fields
from latentry._cli._global_options import open_host
from latentry._cli._printing._output import print_json, say
from latentry._cli._printing._progress import following
from latentry._contract._conversion import Conversion, ignore

if TYPE_CHECKING:
    from latentry._contract._conversion import Tell
    from latentry._contract._progress import Progress


Layout = Literal["folder", "single", "sharded"]
FILES = ("variant", "revision", "offline", "vae", "text_encoders", "tokenizer", "config")
"""Fields of a request that say which files a model is made of."""


def _file_options() -> Iterator[FieldOption]:
    from latentry._request._generation_request import GenerationRequest

    return options_of(GenerationRequest, only=FILES)


@click.command(cls=FieldCommand, fields=_file_options, own_heading="Conversion")
@click.argument("source")
@click.argument("out", type=Path)
@click.option(
    "--to",
    type=click.Choice(("folder", "single", "sharded")),
    required=True,
    help="folder and sharded are diffusers' layout; single is one file in the layout of the original release.",
)
@click.option("--max-shard-size", metavar="SIZE", help="Largest file with --to sharded.  [default: 5GB]")
@click.option("--dtype", metavar="DTYPE", help="float32, float16 or bfloat16; unchanged if not given.")
@quiet_option
@json_option
@click.pass_context
def convert(
    context: click.Context,
    /,
    source: str,
    out: Path,
    to: Layout,
    max_shard_size: str | None,
    dtype: str | None,
    quiet: bool,
    as_json: bool,
    **_: object,
) -> None:
    """Write a model in another layout.

    SOURCE is a folder, a file, an installed name, or owner/name on the Hub. OUT is a folder or a .safetensors file
    that does not exist yet.
    """
    from latentry._files._convert import convert as write
    from latentry._files._finding._access import Access
    from latentry._files._finding._locate import locate
    from latentry._files._finding._parts import PartSources

    host = open_host(context)
    given = typed_fields(context)
    parts = PartSources(given.get("vae"), given.get("text_encoders", ()), given.get("tokenizer"), given.get("config"))
    access = Access(given.get("revision"), given.get("offline", False))
    located = locate(host, source, given.get("variant"), parts, access)
    with following(silent=quiet or as_json) as progress:
        conversion = Conversion(out, to, max_shard_size, dtype, _tell(progress))
        made = [str(path) for path in write(host, located, conversion)]
    if as_json:
        print_json({"family": located.family, "variant": located.variant.name, "to": to, "made": made})
    elif not quiet:
        say(f"{located.family}, {located.variant.name}: {', '.join(made)}")


def _tell(progress: Progress | None) -> Tell:
    if progress is None:
        return ignore
    from latentry._contract._progress import ProgressEvent

    return lambda text, done, total: progress(ProgressEvent("write", done, total, text))
