"""What is checked: an attention backend's record, the object, and where it can run here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from latentry._attention._guard import AttentionGuard, Candidate
from latentry._contract._model import AttentionBackend
from latentry._discovery import PluginHost
from latentry._resolve._device import present
from latentry._specs import AttentionBackendSpec
from latentry.testing._kit._checked import Whole
from latentry.testing._kit._resolved import Resolved

AttentionSource = str | type[AttentionBackend] | AttentionBackendSpec
"""A name the plugin host knows, a class, or a record."""

PREFERRED = ("float32", "float16", "bfloat16", "float64")


@dataclass(frozen=True)
class AttentionSubject(Whole):
    """An attention backend and its record.

    Attributes:
        spec: its record.
        backend: made with the options under which it is checked.
        host: where it comes from.
        installed: the name the host knows it by; empty for a class that no plugin registers.
    """

    spec: AttentionBackendSpec
    backend: AttentionBackend
    host: PluginHost = field(repr=False)
    installed: str = ""

    @classmethod
    def of(
        cls,
        source: AttentionSource,
        *,
        spec: AttentionBackendSpec | None = None,
        host: PluginHost | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> AttentionSubject:
        """Resolves a name, a class or a record.

        Args:
            source: what to check.
            spec: the record of a class; by default that of one that serves everything on the CPU in float32.
            host: resolves names; by default a new one with everything that is installed.
            options: of the backend.
        """
        host, options = host or PluginHost(), dict(options or {})
        found = Resolved.of(host.attention_backends, source, lambda target: spec or _assumed(target))
        return cls(found.spec, found.make(**options), host, found.installed)

    @property
    def guarded(self) -> AttentionGuard:
        """The backend as models get it."""
        return AttentionGuard([Candidate(self.spec.name, self.spec, self.backend)])

    @property
    def obstacle(self) -> str | None:
        """Why the backend cannot run here; None if it can."""
        if not self.devices:
            return f"This machine has none of its devices: {', '.join(sorted(self.spec.devices))}."
        return self.backend.probe()

    @property
    def devices(self) -> tuple[str, ...]:
        """The declared devices that this machine has."""
        return tuple(name for name in sorted(self.spec.devices) if present(torch.device(name)))

    @property
    def dtypes(self) -> tuple[torch.dtype, ...]:
        """The declared dtypes, the most exact of the usual ones first."""
        return tuple(getattr(torch, name) for name in PREFERRED if name in self.spec.dtypes)

    @property
    def head_size(self) -> int:
        """A common head size that is declared."""
        return next(iter(self.head_sizes((64, 32, 16, 128))), self.spec.head_multiple)

    def head_sizes(self, among: tuple[int, ...]) -> Iterator[int]:
        """The declared ones among these head sizes."""
        most = self.spec.max_head_size
        return (n for n in among if n % self.spec.head_multiple == 0 and (most is None or n <= most))

    def places(self) -> Iterator[tuple[str, torch.dtype]]:
        """Each of these devices with the most exact declared dtype."""
        return ((device, self.dtypes[0]) for device in self.devices)


def draw(*shapes: tuple[int, ...], dtype: torch.dtype, seed: int = 0) -> list[Tensor]:
    """Standard normal tensors, rounded to the dtype, on the CPU."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator).to(dtype) for shape in shapes]


def _assumed(source: type[AttentionBackend]) -> AttentionBackendSpec:
    where = f"{source.__module__}:{source.__qualname__}"
    return AttentionBackendSpec(
        name=source.__name__.lower(),
        target=where,
        summary="",
        devices=frozenset({"cpu"}),
        dtypes=frozenset({"float32"}),
    )
