"""Which attention backends serve a request, decided before any weight is loaded."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch

from latentry._attention._demand import unlimited
from latentry._attention._names import AUTO, NATIVE, parse_attention, written
from latentry._attention._roster import Options, Roster, Verdict
from latentry._errors import IncompatibleError, OptionError

log = logging.getLogger("latentry.attention")


@dataclass(frozen=True)
class ChosenAttention:
    """The backends of a request.

    Attributes:
        text: what to ask for to have the same again.
        options: of the backends, by ``distribution:name``.
        reasons: the backends as ``distribution:name``, with why each was taken.
        notes: what is broken, one sentence each.
    """

    text: str
    options: Options
    reasons: Mapping[str, str]
    notes: tuple[str, ...] = ()


def choose_attention(
    roster: Roster, asked: str, options: Options, device: torch.device, dtype: torch.dtype
) -> ChosenAttention:
    """Decides what was left open, and refuses what cannot be.

    ``auto`` takes those of the highest rank that declare this device and dtype, whose probe says yes and who compute
    what the definition does on a small sample, down to one that declares to serve everything. It never takes one that
    is not exact.

    Args:
        roster: the backends there are.
        asked: see ``parse_attention``.
        options: of backends, by name.
        device: where the networks run.
        dtype: what they run in.

    Raises:
        UnknownName: no such backend.
        OptionError: the text is no choice, or options are unknown or belong to a backend that does not serve.
        IncompatibleError: what was asked for by name cannot serve here.
    """
    parts = parse_attention(asked)
    options = {roster.registry.qualified(name): dict(values) for name, values in options.items() if values}
    decision = _Decision(roster, options, device, dtype)
    text = written({role: tuple(dict.fromkeys(decision.expand(names))) for role, names in parts.items()})
    if idle := [name for name in options if name not in decision.reasons]:
        raise OptionError(
            f"The options of the attention backend {', '.join(idle)} are of no use: it does not serve.",
            why=f"Asked for is {asked!r}, and that comes to {text}.",
            remedy=f"Ask for it by name, e.g. --attention {roster.registry[idle[0]].name}.",
        )
    log.info("attention: %s; %s", text, "; ".join(f"{name}: {why}" for name, why in decision.reasons.items()))
    return ChosenAttention(text, options, decision.reasons, tuple(decision.notes))


@dataclass(frozen=True)
class _Decision:
    """One request's way through the backends."""

    roster: Roster
    options: Options
    device: torch.device
    dtype: torch.dtype
    reasons: dict[str, str] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)

    def expand(self, names: tuple[str, ...]) -> Iterator[str]:
        """The backends that these names come to, qualified."""
        refused: dict[str, str] = {}
        for name in names:
            if name in (AUTO, NATIVE):
                yield from self._automatic() if name == AUTO else (NATIVE,)
                return
            verdict = self.roster.judge(name, self.options, self.device, self.dtype)
            if verdict.reason is None:
                yield self._take(name, "asked for by name")
            else:
                refused[name] = verdict.reason
                self._pass_over(name, verdict)
        if len(refused) == len(names):
            raise _refusal(refused)

    def _automatic(self) -> Iterator[str]:
        registry = self.roster.registry
        for name in sorted(registry, key=lambda name: (-registry[name].rank, name)):
            verdict = Verdict("It is not exact, and is taken where it is asked for by name.")
            if not registry[name].error:
                verdict = self.roster.prove(name, self.options, self.device, self.dtype)
            if verdict.reason is None:
                yield self._take(name, f"rank {registry[name].rank}, the highest that can serve here and proved right")
                if unlimited(registry[name]):
                    return
            else:
                self._pass_over(name, verdict)
        yield NATIVE

    def _pass_over(self, name: str, verdict: Verdict) -> None:
        log.info("attention: not %s: %s", name, verdict.reason)
        if verdict.broken:
            self.notes[f"The attention backend {name!r} is left out. {verdict.reason}"] = None

    def _take(self, name: str, why: str) -> str:
        qualified = self.roster.registry.qualified(name)
        self.reasons.setdefault(qualified, why)
        return qualified


def _refusal(refused: Mapping[str, str]) -> IncompatibleError:
    names = ", ".join(repr(name) for name in refused)
    why = list(refused.values()) if len(refused) == 1 else [f"{name}: {why}" for name, why in refused.items()]
    return IncompatibleError(
        f"The attention backend {names} cannot serve here.",
        why="\n".join(why),
        remedy="See `latentry attention`, or use --attention auto.",
    )
