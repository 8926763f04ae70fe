"""How a checkpoint is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Form = Literal["folder", "single", "sharded"]
Tell = Callable[[str, int, int], None]
"""Called with the file being written, the number of tensors done, and the total."""


def ignore(text: str, done: int, total: int) -> None:
    """Does nothing."""


@dataclass(frozen=True)
class Conversion:
    """How a checkpoint is written.

    Attributes:
        out: the folder or file to make; it must not exist yet.
        to: ``folder``: diffusers' layout, one file for each network; ``sharded``: the same in files of limited size,
            with an index; ``single``: one file in the layout in which the model was first published.
        max_shard_size: of ``sharded``, such as ``5GB``, which None stands for.
        metadata: further entries for the files of the denoiser, ``latentry.guidance`` among them.
        dtype: of the weights, by torch's name; None keeps each tensor's own.
        progress: called after each tensor; an exception raised in it cancels the conversion.
    """

    out: Path
    to: Form
    max_shard_size: str | None = None
    dtype: str | None = None
    progress: Tell = ignore
    metadata: Mapping[str, str] = field(default_factory=dict)
