"""Which backend serves which attention layer of one model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import MappingProxyType
from typing import Any, Protocol

from torch import nn

from latentry import OptionError
from latentry.attention import AttentionBackend, AttentionDemand, AttentionGuard, attention_backend
from latentry_diffusers.attention._layer import PROCESSORS, Layer, Processors
from latentry_diffusers.attention._text import TextEncoder

ROLES = ("self", "cross", "joint", "vae", "text")
"""Self, cross and joint attention of the denoiser, and attention of the autoencoder and the text encoders."""


class Slot(Protocol):
    """What can be served: a layer, or the layers of a text encoder.

    Attributes:
        role: see ``ROLES``.
        label: which one it is, in words.
        state: what computes in it now; it can be set again.
    """

    role: str
    label: str
    state: Any

    @property
    def demand(self) -> AttentionDemand:
        """What a backend can know about its calls beforehand."""
        ...

    def check(self) -> None:
        """Refuses, with ``IncompatibleError``, what no backend can serve."""

    def serve(self, backend: AttentionBackend | None) -> None:
        """Serves it through a backend; None restores its own attention."""


class Routing:
    """The attention layers of one model.

    Args:
        networks: diffusers' networks by part: ``unet`` or ``transformer``, ``vae``.
        text: transformers' text encoders.
        processors: what serves the layers that only this family's networks have.
        slots: attention of the networks that is in no layer with a processor.
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        text: Sequence[nn.Module] = (),
        processors: Processors = MappingProxyType({}),
        slots: Iterable[Slot] = (),
    ) -> None:
        self._networks = (*networks.values(), *text)
        encoders = [TextEncoder(network, number) for number, network in enumerate(text, start=1)]
        self._slots: list[Slot] = [encoder for encoder in encoders if encoder.can_be_served]
        for part, network in networks.items():
            self._slots += _layers(part, network, {**PROCESSORS, **processors})
        self._slots += slots

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that the model has."""
        had = {slot.role for slot in self._slots}
        return tuple(role for role in ROLES if role in had)

    def set(self, backend: AttentionBackend | str | None, role: str | None) -> AbstractContextManager[None]:
        """Implements ``latentry.models.Model.set_attention``; if it raises, nothing has changed."""
        if role is not None and role not in self.roles:
            raise OptionError(
                f"There is no attention role {role!r} here.", remedy=f"Roles are {', '.join(self.roles)}."
            )
        slots = [slot for slot in self._slots if role in (None, slot.role)]
        served = self._named(backend) if isinstance(backend, str) else backend
        if served is not None:
            _check(slots, served)
        before = [slot.state for slot in slots]
        for slot in slots:
            slot.serve(served)
        return _restoring(slots, before)

    def _named(self, name: str) -> AttentionGuard | None:
        weight = next(each for each in self._networks[0].parameters() if each.is_floating_point())
        return attention_backend(name, device=weight.device, dtype=weight.dtype)


def _layers(part: str, network: nn.Module, processors: Processors) -> Iterator[Layer]:
    for name, layer in network.named_modules():
        if hasattr(layer, "set_processor") and hasattr(layer, "processor"):
            yield Layer(layer, part, name, processors)


def _check(slots: list[Slot], backend: AttentionBackend) -> None:
    for slot in slots:
        slot.check()
        if isinstance(backend, AttentionGuard):
            backend.admit(slot.demand, slot.label)


@contextmanager
def _restoring(slots: list[Slot], before: list[Any]) -> Iterator[None]:
    try:
        yield
    finally:
        for slot, state in zip(slots, before, strict=True):
            slot.state = state
