"""What may be opened on a picture's word."""

from __future__ import annotations

from dataclasses import dataclass

TRUST = "opens every file that the recipe names and downloads the model if it is not on this machine"


@dataclass(frozen=True)
class Trust:
    """What may be opened on a picture's word.

    Attributes:
        everything: ``--trust`` was given.
        typed: paths that were typed.
    """

    everything: bool
    typed: frozenset[str]
