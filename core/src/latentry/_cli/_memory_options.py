"""Options that save memory, and dtypes, for every command that runs a model."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from latentry._errors import OptionError

Texts = list[str] | None
Dtype = Annotated[
    Texts,
    typer.Option(
        "--dtype",
        metavar="[PART=]DTYPE",
        help="auto, float32, float16, bfloat16; of one part vae=float32; repeatable.",
    ),
]
Without = Annotated[
    Texts, typer.Option(metavar="PART", help="Leave an optional part out, e.g. text_encoder_3; repeatable.")
]
Offload = Annotated[
    str, typer.Option(help="What waits in main memory while it is not used: none, model, or blocks of one.")
]
BlocksPerGroup = Annotated[int, typer.Option(help="With --offload blocks: how many move together.")]
VaeTiling = Annotated[
    str | None,
    typer.Option(help="Large pictures through the autoencoder in tiles: on, off, auto, or their side in pixels."),
]
VaeSlicing = Annotated[
    bool, typer.Option("--vae-slicing", help="Pictures of a batch through the autoencoder one by one.")
]


def dtypes(typed: list[str] | None) -> dict[str, Any]:
    """Of all parts and of single ones, as a request has them.

    Raises:
        OptionError: two for all, or two for one part.
    """
    whole: list[str] = []
    single: dict[str, str] = {}
    for text in typed or ():
        part, equals, name = text.partition("=")
        if (equals and part in single) or (not equals and whole):
            raise OptionError(f"--dtype {text} is one too many.", remedy="Give one for all parts, and one for a part.")
        if equals:
            single[part] = name
        else:
            whole.append(text)
    return {**({"dtype": whole[0]} if whole else {}), **({"dtypes": single} if single else {})}


def tiling(typed: str | None) -> bool | int | str | None:
    """As a request has it.

    Raises:
        OptionError: it is none of what ``--vae-tiling`` takes.
    """
    words = {None: None, "on": True, "off": False, "auto": "auto"}
    if typed in words:
        return words[typed]
    try:
        return int(typed or "")
    except ValueError as error:
        raise OptionError(
            f"--vae-tiling {typed} is not known.", remedy="Give on, off, auto, or a side in pixels, e.g. 512."
        ) from error
