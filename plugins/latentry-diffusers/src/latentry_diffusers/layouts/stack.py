"""Pairs for layers of an original layout that stack several layers of diffusers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from latentry_diffusers.layouts.pair import Pair


def stack(original: str, diffusers: Sequence[str], rows: tuple[int, ...] | None = None) -> Iterator[Pair]:
    """The pairs of a linear layer with a bias that computes several at once; see ``Pair``."""
    for kind in ("weight", "bias"):
        yield Pair(f"{original}.{kind}", tuple(f"{name}.{kind}" for name in diffusers), rows=rows)
