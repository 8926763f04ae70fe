"""Backends on a model: set, and put back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

from latentry._attention._choice import choose_attention
from latentry._attention._guard import AttentionGuard
from latentry._attention._names import ALL, parse_attention
from latentry._attention._roster import Options, Roster
from latentry._contract._model import Model
from latentry._discovery import PluginHost
from latentry._errors import OptionError


@contextmanager
def serving(model: Model, roster: Roster, text: str, options: Options) -> Iterator[tuple[AttentionGuard, ...]]:
    """A model whose attention is served as was decided; at the end it is served as before.

    Args:
        model: the model.
        roster: the backends there are.
        text: of ``ChosenAttention``.
        options: likewise.
    """
    guards = {role: roster.guard(names, options) for role, names in parse_attention(text).items()}
    with ExitStack() as stack:
        for role, guard in guards.items():
            stack.enter_context(model.set_attention(guard, role=role or None))
        yield tuple(guard for guard in guards.values() if guard is not None)


def attention_backend(
    name: str,
    *,
    device: torch.device | str,
    dtype: torch.dtype,
    host: PluginHost | None = None,
    options: Options | None = None,
) -> AttentionGuard | None:
    """A backend for ``Model.set_attention``, by name: ``flash``, ``flash,auto``, ``auto``; None for ``native``.

    Args:
        name: one backend, or several in the order in which they are to be tried.
        device: where the model runs.
        dtype: what it runs in.
        host: where the backends come from; a new one over everything installed by default.
        options: of backends, by name, e.g. ``{"sdpa": {"kernel": "math"}}``.

    Raises:
        UnknownName: no such backend.
        OptionError: it has no such option, or a role is named, which is for ``set_attention``.
        IncompatibleError: it cannot serve there.
    """
    roster = Roster(PluginHost() if host is None else host)
    if len(parse_attention(name)) > 1:
        raise OptionError(f"{name!r} names a role.", remedy="Give the role to set_attention.")
    chosen = choose_attention(roster, name, options or {}, torch.device(device), dtype)
    return roster.guard(parse_attention(chosen.text)[ALL], chosen.options)
