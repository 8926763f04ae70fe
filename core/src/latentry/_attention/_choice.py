"""Which attention backends serve a request, decided before any weight is loaded."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch

from latentry._attention._available import Availability, AvailableBackends, Options
from latentry._attention._demand import unlimited
from latentry._attention._names import AUTO, NATIVE, parse_attention, written
from latentry._errors import IncompatibleError, OptionError

log = logging.getLogger("latentry.attention")


@dataclass(frozen=True)
class ChosenAttention:
    """The backends of a request.

    Attributes:
        text: a request for the same backends.
        options: of the backends, by ``distribution:name``.
        reasons: the backends as ``distribution:name``, and why each was taken.
        notes: which backends are broken, one sentence each.
    """

    text: str
    options: Options
    reasons: Mapping[str, str]
    notes: tuple[str, ...] = ()


def choose_attention(
    backends: AvailableBackends, asked: str, options: Options, device: torch.device, dtype: torch.dtype
) -> ChosenAttention:
    """Decides which backends serve, and refuses a request that none can.

    ``auto`` takes backends by rank: those that declare this device and dtype, whose probe succeeds, and that match the
    definition on a small sample, down to the first that declares no limits. It never takes one that is not exact.

    Args:
        backends: the installed backends.
        asked: as in ``parse_attention``.
        options: of backends, by name.
        device: where the networks run.
        dtype: what they run in.

    Raises:
        UnknownName: no such backend.
        OptionError: the text cannot be parsed, or an option is not known, or belongs to a backend that does not serve.
        IncompatibleError: a backend that was named cannot serve here.
    """
    parts = parse_attention(asked)
    options = {backends.registry.qualified(name): dict(values) for name, values in options.items() if values}
    decision = _Decision(backends, options, device, dtype)
    text = written({role: tuple(dict.fromkeys(decision.expand(names))) for role, names in parts.items()})
    if idle := [name for name in options if name not in decision.reasons]:
        raise OptionError(
            f"The options of the attention backend {', '.join(idle)} have no effect.",
            why=f"It is not used: the request for {asked!r} gives {text}.",
            remedy=f"Request it by name, e.g. {backends.registry[idle[0]].name}.",
            field="attention_options",
        )
    log.info("attention: %s; %s", text, "; ".join(f"{name}: {why}" for name, why in decision.reasons.items()))
    return ChosenAttention(text, options, decision.reasons, tuple(decision.notes))


@dataclass(frozen=True)
class _Decision:
    """Collects reasons and notes while one request is decided."""

    backends: AvailableBackends
    options: Options
    device: torch.device
    dtype: torch.dtype
    reasons: dict[str, str] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)

    def expand(self, names: tuple[str, ...]) -> Iterator[str]:
        """The qualified names of the backends that serve for these names."""
        refused: dict[str, str] = {}
        for name in names:
            if name in (AUTO, NATIVE):
                yield from self._automatic() if name == AUTO else (NATIVE,)
                return
            found = self.backends.check(name, self.options, self.device, self.dtype)
            if found.reason is None:
                yield self._take(name, "requested by name")
            else:
                refused[name] = found.reason
                self._pass_over(name, found)
        if len(refused) == len(names):
            raise _refusal(refused)

    def _automatic(self) -> Iterator[str]:
        registry = self.backends.registry
        for name in sorted(registry, key=lambda name: (-registry[name].rank, name)):
            found = Availability("It is not exact, so it is used only where it is requested by name.")
            if not registry[name].error:
                found = self.backends.verify(name, self.options, self.device, self.dtype)
            if found.reason is None:
                yield self._take(name, f"rank {registry[name].rank}, the highest that can serve and passed the check")
                if unlimited(registry[name]):
                    return
            else:
                self._pass_over(name, found)
        yield NATIVE

    def _pass_over(self, name: str, found: Availability) -> None:
        log.info("attention: not %s: %s", name, found.reason)
        if found.broken:
            self.notes[f"The attention backend {name!r} is not used. {found.reason}"] = None

    def _take(self, name: str, why: str) -> str:
        qualified = self.backends.registry.qualified(name)
        self.reasons.setdefault(qualified, why)
        return qualified


def _refusal(refused: Mapping[str, str]) -> IncompatibleError:
    names = ", ".join(repr(name) for name in refused)
    why = list(refused.values()) if len(refused) == 1 else [f"{name}: {why}" for name, why in refused.items()]
    return IncompatibleError(
        f"The attention backend {names} cannot serve here.",
        why="\n".join(why),
        remedy="Use auto; see `latentry attention` for what each backend supports.",
        field="attention",
    )
