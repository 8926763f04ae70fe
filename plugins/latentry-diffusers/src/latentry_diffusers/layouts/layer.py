"""Pairs of whole layers: a weight, and a bias where there is one."""

from __future__ import annotations

from collections.abc import Iterator

from latentry_diffusers.layouts.pair import Form, Pair


def layer(original: str, diffusers: str, form: Form = "same", *, bias: bool = True) -> Iterator[Pair]:
    """The pairs of a linear layer, a convolution or a norm.

    Args:
        original: the layer's name in the original layout.
        diffusers: its name in diffusers.
        form: the weight's; the bias has the same where its halves are exchanged.
        bias: whether there is one.
    """
    yield Pair(f"{original}.weight", (f"{diffusers}.weight",), form)
    if bias:
        yield Pair(f"{original}.bias", (f"{diffusers}.bias",), "halves" if form == "halves" else "same")
