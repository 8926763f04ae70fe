"""Options for a model's files, the same for every command that takes a model."""

from __future__ import annotations

from typing import Annotated

import typer

Texts = list[str] | None
Variant = Annotated[str | None, typer.Option(help="Variant, where the files cannot tell.")]
Vae = Annotated[str | None, typer.Option(help="Autoencoder in place of the model's own: file or folder.")]
TextEncoders = Annotated[
    Texts, typer.Option("--text-encoder", metavar="PATH", help="Likewise a text encoder; repeatable.")
]
Tokenizer = Annotated[str | None, typer.Option(help="Folder of tokenizers, which single files lack.")]
Config = Annotated[str | None, typer.Option(help="Diffusers folder that describes the networks of a file.")]
Revision = Annotated[str | None, typer.Option(help="Branch, tag or commit of a model of the hub.")]
Offline = Annotated[bool, typer.Option("--offline", help="Of the hub, use the cache alone.")]
