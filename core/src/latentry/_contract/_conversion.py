"""What a checkpoint is to be written as."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Form = Literal["folder", "single", "sharded"]
Tell = Callable[[str, int, int], None]
"""Takes what is being written, and how many tensors of how many are."""


def ignore(text: str, done: int, total: int) -> None:
    """Nobody is waiting."""


@dataclass(frozen=True)
class Conversion:
    """What a checkpoint is to be written as.

    Attributes:
        out: the folder or file that is made; nothing may be there yet.
        to: ``folder``: in diffusers' layout, one file a network; ``sharded``: the same in files of limited size, with
            an index; ``single``: one file in the layout in which the model was first published.
        max_shard_size: of ``sharded``, such as ``5GB``.
        dtype: of the weights by torch's name; None leaves each its own.
        progress: called after each tensor; an exception raised in it cancels the conversion.
    """

    out: Path
    to: Form
    max_shard_size: str = "5GB"
    dtype: str | None = None
    progress: Tell = ignore
