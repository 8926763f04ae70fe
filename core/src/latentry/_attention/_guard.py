"""Stands between a model's layers and the backends, so that nothing a backend does not declare is ever dropped."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from latentry._attention._demand import AttentionDemand, unmet
from latentry._contract._model import AttentionBackend
from latentry._discovery import is_out_of_memory
from latentry._discovery._problems import cause
from latentry._errors import IncompatibleError, LatentryError, PluginError
from latentry._specs import AttentionBackendSpec

log = logging.getLogger("latentry.attention")


@dataclass(frozen=True)
class Candidate:
    """A backend with its name and its record; None for one that serves everything."""

    name: str
    spec: AttentionBackendSpec | None
    backend: AttentionBackend

    def unmet(self, demand: AttentionDemand) -> str | None:
        """Which demand it does not declare to meet."""
        return None if self.spec is None else unmet(self.spec, demand)


class AttentionGuard:
    """A backend that serves each call through the first of several that can.

    A lone backend has to serve: what it does not declare, and what it fails at, is one clear error. Of several, one
    that cannot is passed over, and one that fails is left out from then on, with a warning in the log and in ``notes``.

    Args:
        candidates: the backends, best first.
        failures: what failed so far, by name; shared by the guards of one engine.
    """

    def __init__(self, candidates: Sequence[Candidate], failures: MutableMapping[str, str] | None = None) -> None:
        self._candidates = tuple(candidates)
        self._failures: MutableMapping[str, str] = {} if failures is None else failures
        self._notes: list[str] = []

    @property
    def names(self) -> tuple[str, ...]:
        """The backends, best first."""
        return tuple(candidate.name for candidate in self._candidates)

    @property
    def notes(self) -> tuple[str, ...]:
        """What failed on the way, one sentence each."""
        return tuple(self._notes)

    def probe(self) -> str | None:
        """None where one of the backends can run here, else why the first cannot."""
        reasons = [candidate.backend.probe() for candidate in self._candidates]
        return None if None in reasons else reasons[0]

    def admit(self, demand: AttentionDemand, layer: str) -> None:
        """Refuses a layer that no backend declares to serve, before anything is computed.

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
        """See ``AttentionBackend``; the mask may have fewer dimensions. Without tokens or keys no kernel is asked.

        Raises:
            IncompatibleError: no backend declares to serve this.
            PluginError: the only backend failed.
        """
        shape = (*q.shape[:-1], v.shape[-1])
        if not q.numel() or not k.shape[2]:
            return q.new_zeros(shape)  # torch's kernel for the CPU ends the process there
        if mask is not None:
            mask = mask[(None,) * (4 - mask.dim())]
        demand = AttentionDemand.of(q, mask=mask, scale=scale, causal=causal)
        asked = scale if demand.scale else None
        failures = self._failures if len(self._candidates) > 1 else {}
        reasons: dict[str, str | None] = {}
        for candidate in self._candidates:
            reason = failures.get(candidate.name) or candidate.unmet(demand)
            if reason is None:
                try:
                    return _checked(candidate.backend.attend(q, k, v, mask=mask, scale=asked, causal=causal), shape)
                except IncompatibleError as error:
                    reason = error.why or error.what
                except Exception as error:
                    reason = self._failed(candidate, error)
            reasons[candidate.name] = reason
        raise self._refusal(reasons, f"attention of shape {tuple(q.shape)}, {demand.dtype}, on {demand.device}")

    def _failed(self, candidate: Candidate, error: Exception) -> str:
        """The failure in words where another backend may step in."""
        if is_out_of_memory(error):
            raise error
        if len(self._candidates) == 1:
            raise PluginError(
                f"The attention backend {candidate.name!r} failed.",
                why=error.why or error.what if isinstance(error, LatentryError) else cause(error),
                remedy="Ask for auto, or for another backend; see `latentry attention`.",
            ) from error
        reason = f"It failed: {cause(error)}"
        self._failures[candidate.name] = reason
        self._notes.append(f"The attention backend {candidate.name!r} failed and was left out: {cause(error)}")
        log.warning("%s", self._notes[-1])
        return reason

    def _refusal(self, reasons: dict[str, str | None], layer: str) -> IncompatibleError:
        first, *others = reasons
        if not others:
            remedy = f"Ask for {first},auto to have another backend serve what this one cannot, or for auto."
            return IncompatibleError(
                f"The attention backend {first!r} cannot serve {layer}.", why=reasons[first] or "", remedy=remedy
            )
        return IncompatibleError(
            f"None of the attention backends {', '.join(reasons)} can serve {layer}.",
            why="\n".join(f"{name}: {reason}" for name, reason in reasons.items()),
            remedy="Ask for auto; see `latentry attention`.",
        )


def _checked(out: Tensor, shape: tuple[int, ...]) -> Tensor:
    if tuple(out.shape) != shape:
        raise PluginError(f"It gave shape {tuple(out.shape)}, not {shape}.")
    return out
