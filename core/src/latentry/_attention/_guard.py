"""Sends each attention call to a backend that declares to support it, so that no mask is ever silently dropped."""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from latentry._attention._demand import AttentionDemand, unmet
from latentry._contract._model import AttentionBackend
from latentry._discovery import is_out_of_memory, plugin_call
from latentry._discovery._problems import cause
from latentry._errors import IncompatibleError, LatentryError, PluginError
from latentry._specs import AttentionBackendSpec

log = logging.getLogger("latentry.attention")


@dataclass(frozen=True)
class Candidate:
    """A backend with its name, and its record; None for a backend without limits."""

    name: str
    spec: AttentionBackendSpec | None
    backend: AttentionBackend

    def unmet(self, demand: AttentionDemand) -> str | None:
        """Why it cannot serve, by its record; None where it can."""
        return None if self.spec is None else unmet(self.spec, demand)


Kind = tuple[int, torch.dtype, torch.device, bool, float | None, bool]
"""All that records speak of: head size, dtype, device, whether there is a mask, scale, causality."""


class Able(NamedTuple):
    """What the records say of one kind of call.

    Attributes:
        candidates: the backends that can serve it, best first. Whether one has failed is looked up at each call.
        reasons: why the others cannot.
        scale: to ask for; None for the default.
    """

    candidates: tuple[Candidate, ...]
    reasons: Mapping[str, str]
    scale: float | None


class AttentionGuard:
    """A backend that sends each call to the first of several that can serve it.

    A single backend must serve: a call that it does not support, or fails at, is an error. Of several, one that does
    not support a call is skipped, and one that fails is not used again, with a warning in the log and in ``notes``.

    Args:
        candidates: the backends, best first.
        failures: of backends so far, by name; the guards of one engine share it.
    """

    def __init__(self, candidates: Sequence[Candidate], failures: MutableMapping[str, str] | None = None) -> None:
        self._candidates = tuple(candidates)
        self._failures: MutableMapping[str, str] = {} if failures is None else failures
        self._able: dict[Kind, Able] = {}
        self._notes: list[str] = []
        self._calls = {
            each.name: plugin_call(each.backend, f"attention backend {each.name!r}") for each in self._candidates
        }

    @property
    def names(self) -> tuple[str, ...]:
        """The backends, best first."""
        return tuple(candidate.name for candidate in self._candidates)

    @property
    def notes(self) -> tuple[str, ...]:
        """Which backends failed, one sentence each."""
        return tuple(self._notes)

    def probe(self) -> str | None:
        """None where one of the backends can run here, else why the first cannot."""
        reasons = [candidate.backend.probe() for candidate in self._candidates]
        return None if None in reasons else reasons[0]

    def admit(self, demand: AttentionDemand, layer: str) -> None:
        """Refuses a layer that no backend supports, before anything is computed.

        Raises:
            IncompatibleError: with each backend's reason.
        """
        reasons = {candidate.name: candidate.unmet(demand) for candidate in self._candidates}
        if None not in reasons.values():
            raise self._refusal(reasons, layer)

    def attend(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        *,
        mask: Tensor | None = None,
        scale: float | None = None,
        causal: bool = False,
    ) -> Tensor:
        """See ``AttentionBackend``; the mask may have fewer dimensions. Without tokens or keys no kernel is called.

        Raises:
            IncompatibleError: no backend supports this call.
            PluginError: the only backend failed.
        """
        if not q.numel() or not k.shape[2]:
            # torch's CPU kernel ends the process on empty input
            return q.new_zeros((*q.shape[:-1], v.shape[-1]))
        if mask is not None and mask.dim() < 4:
            mask = mask[(None,) * (4 - mask.dim())]
        kind = (q.shape[-1], q.dtype, q.device, mask is not None, scale, causal)
        able = self._able.get(kind) or self._find_able(kind, q, mask, scale, causal)
        failures = self._failures if len(self._candidates) > 1 else {}
        refused: dict[str, str] = {}
        for candidate in able.candidates:
            if candidate.name in failures:
                continue
            try:
                with self._calls[candidate.name]:
                    out = candidate.backend.attend(q, k, v, mask=mask, scale=able.scale, causal=causal)
                    return _checked(out, (*q.shape[:-1], v.shape[-1]), candidate.name)
            except IncompatibleError as error:
                refused[candidate.name] = error.why or error.what
            except Exception as error:
                refused[candidate.name] = self._failed(candidate, error)
        reasons = {
            each.name: failures.get(each.name) or able.reasons.get(each.name) or refused[each.name]
            for each in self._candidates
        }
        dtype = str(q.dtype).removeprefix("torch.")
        raise self._refusal(reasons, f"attention of shape {tuple(q.shape)}, {dtype}, on {q.device.type}")

    def _find_able(self, kind: Kind, q: Tensor, mask: Tensor | None, scale: float | None, causal: bool) -> Able:
        """Which backends can serve a kind of call by their records: looked up once, since calls are many and alike."""
        demand = AttentionDemand.of(q, mask=mask, scale=scale, causal=causal)
        found = [(candidate, candidate.unmet(demand)) for candidate in self._candidates]
        self._able[kind] = able = Able(
            tuple(candidate for candidate, reason in found if reason is None),
            {candidate.name: reason for candidate, reason in found if reason is not None},
            scale if demand.scale else None,
        )
        return able

    def _failed(self, candidate: Candidate, error: Exception) -> str:
        """Records a failure and returns it in words; raises where no other backend could serve."""
        if is_out_of_memory(error):
            raise error
        if len(self._candidates) == 1:
            raise error
        why = error.why or error.what if isinstance(error, LatentryError) else cause(error)
        reason = f"It failed: {why}"
        self._failures[candidate.name] = reason
        self._notes.append(f"The attention backend {candidate.name!r} failed and is not used any more: {why}")
        log.warning("%s", self._notes[-1])
        return reason

    def _refusal(self, reasons: Mapping[str, str | None], layer: str) -> IncompatibleError:
        first, *others = reasons
        if not others:
            remedy = f"Use auto, or {first},auto to let other backends serve what this one does not support."
            return IncompatibleError(
                f"The attention backend {first!r} cannot serve {layer}.",
                why=reasons[first] or "",
                remedy=remedy,
                field="attention",
            )
        return IncompatibleError(
            f"None of the attention backends {', '.join(reasons)} can serve {layer}.",
            why="\n".join(f"{name}: {reason}" for name, reason in reasons.items()),
            remedy="Use auto; see `latentry attention` for what each backend supports.",
            field="attention",
        )


def _checked(out: Tensor, shape: tuple[int, ...], name: str) -> Tensor:
    if out.shape != shape:
        raise PluginError(
            f"The attention backend {name!r} returned the shape {tuple(out.shape)} instead of {shape}.",
            remedy="Report it to the plugin's author, or use another backend.",
        )
    return out
