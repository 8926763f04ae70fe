"""Backends set on a model for a while, and backends by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Protocol

import torch

from latentry._attention._available import AvailableBackends, Options
from latentry._attention._choice import choose_attention
from latentry._attention._guard import AttentionGuard
from latentry._attention._names import ALL, parse_attention
from latentry._contract._model import AttentionBackend
from latentry._discovery import PluginHost
from latentry._errors import OptionError


class Served(Protocol):
    """What has attention that backends can compute: a model or a conditioner."""

    def set_attention(
        self, backend: AttentionBackend | str | None, *, role: str | None = None
    ) -> AbstractContextManager[None]: ...


@contextmanager
def serving(
    model: Served, backends: AvailableBackends, text: str, options: Options
) -> Iterator[tuple[AttentionGuard, ...]]:
    """Sets the chosen backends on a model; at the end, the ones before are set again.

    Args:
        model: the model or conditioner.
        backends: the installed backends.
        text: of ``ChosenAttention``.
        options: likewise.
    """
    guards = {role: backends.guard(names, options) for role, names in parse_attention(text).items()}
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
        name: one backend, or several in the order in which they are tried.
        device: where the model runs.
        dtype: what it runs in.
        host: where the backends come from; by default a new one with all installed plugins.
        options: of backends, by name, e.g. ``{"sdpa": {"kernel": "math"}}``.

    Raises:
        UnknownName: no such backend.
        OptionError: an option is not known; or the name has a role, which belongs to ``set_attention``.
        IncompatibleError: it cannot serve there.
    """
    backends = AvailableBackends(PluginHost() if host is None else host)
    if len(parse_attention(name)) > 1:
        raise OptionError(f"{name!r} names a role.", remedy="Pass the role to set_attention.", field="attention")
    chosen = choose_attention(backends, name, options or {}, torch.device(device), dtype)
    return backends.guard(parse_attention(chosen.text)[ALL], chosen.options)
