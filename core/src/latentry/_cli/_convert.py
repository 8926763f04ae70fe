"""``latentry convert``: a model in another form."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from latentry._cli._host import open_host
from latentry._cli._model_options import Config, Offline, Revision, TextEncoders, Tokenizer, Vae, Variant
from latentry._cli._output import print_json
from latentry._cli._progress import following
from latentry._contract._conversion import Conversion, ignore

if TYPE_CHECKING:
    from latentry._contract._conversion import Tell
    from latentry._contract._progress import Progress


def convert(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="Folder, file, installed name, or owner/name of the hub.")],
    out: Annotated[Path, typer.Argument(help="What to make: a folder, or a .safetensors file.")],
    to: Annotated[
        Literal["folder", "single", "sharded"],
        typer.Option(help="folder and sharded are diffusers' layout, single is that of the first release."),
    ],
    max_shard_size: Annotated[str, typer.Option(help="Of sharded: how large a file may be.")] = "5GB",
    dtype: Annotated[str | None, typer.Option(help="float32, float16, bfloat16; without it none changes.")] = None,
    variant: Variant = None,
    vae: Vae = None,
    text_encoders: TextEncoders = None,
    tokenizer: Tokenizer = None,
    config: Config = None,
    revision: Revision = None,
    offline: Offline = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no report.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON.")] = False,
) -> None:
    """Write a model as a diffusers folder, with shards, or as a single file; nothing is overwritten."""
    from latentry._files._convert import convert as write
    from latentry._files._find import Access, Beside
    from latentry._files._locate import locate

    host = open_host(context)
    beside = Beside(vae, tuple(text_encoders or ()), tokenizer, config)
    located = locate(host, source, variant, beside, Access(revision, offline))
    with following(silent=quiet or as_json) as progress:
        conversion = Conversion(out, to, max_shard_size, dtype, _tell(progress))
        made = [str(path) for path in write(host, located, conversion)]
    if as_json:
        print_json({"family": located.family, "variant": located.variant.name, "to": to, "made": made})
    elif not quiet:
        print(f"{located.family}, {located.variant.name}: {', '.join(made)}")


def _tell(progress: Progress | None) -> Tell:
    if progress is None:
        return ignore
    from latentry._contract._progress import ProgressEvent

    return lambda text, done, total: progress(ProgressEvent("write", done, total, text))
