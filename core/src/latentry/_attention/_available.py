"""Which backends can serve here, by their records, their probes, and a small numeric check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from latentry._attention._demand import AttentionDemand, unmet
from latentry._attention._guard import AttentionGuard, Candidate
from latentry._attention._names import NATIVE
from latentry._attention._native import NativeAttention
from latentry._attention._self_check import self_check
from latentry._contract._model import AttentionBackend
from latentry._discovery import PluginHost
from latentry._discovery._problems import cause
from latentry._errors import LatentryError, OptionError

Options = Mapping[str, Mapping[str, Any]]
"""Options of backends, by ``distribution:name``."""


@dataclass(frozen=True)
class Availability:
    """Whether a backend can serve.

    Attributes:
        reason: why not; None where it can.
        broken: it is faulty, not just made for something else.
    """

    reason: str | None = None
    broken: bool = False


class AvailableBackends:
    """The backends of a host; keeps the results of their checks.

    Args:
        host: where the backends come from.
    """

    def __init__(self, host: PluginHost) -> None:
        self.registry = host.attention_backends
        self._checked: dict[tuple[str, str, str, torch.dtype], Availability] = {}
        self._failures: dict[str, str] = {}

    def check(self, name: str, options: Options, device: torch.device, dtype: torch.dtype) -> Availability:
        """By the record and the probe.

        Raises:
            UnknownName: no such backend.
            OptionError: it has no such option.
        """
        demand = AttentionDemand(device=device.type, dtype=str(dtype).removeprefix("torch."))
        if (reason := unmet(self.registry[name], demand)) is not None:
            return Availability(reason)
        try:
            return Availability(self._create(name, options).probe())
        except OptionError:
            raise
        except LatentryError as error:
            return Availability(error.why or error.what, broken=True)
        except Exception as error:  # a broken plugin must not fail requests that do not use it
            return Availability(f"Its probe fails: {cause(error)}", broken=True)

    def verify(self, name: str, options: Options, device: torch.device, dtype: torch.dtype) -> Availability:
        """By the record, the probe and a numeric check, which runs once for a device and dtype."""
        qualified = self.registry.qualified(name)
        if qualified in self._failures:
            return Availability(self._failures[qualified], broken=True)
        key = (qualified, repr(options.get(qualified)), str(device), dtype)
        if key not in self._checked:
            found = self.check(name, options, device, dtype)
            if found.reason is None:
                wrong = self_check(self.registry[name], self._create(name, options), device, dtype)
                found = Availability(None if wrong is None else f"On a small sample {wrong}.", broken=wrong is not None)
            self._checked[key] = found
        return self._checked[key]

    def guard(self, names: tuple[str, ...], options: Options) -> AttentionGuard | None:
        """The named backends as one; None for the networks' own attention."""
        if names == (NATIVE,):
            return None
        return AttentionGuard([self._candidate(name, options) for name in names], self._failures)

    def _candidate(self, name: str, options: Options) -> Candidate:
        if name == NATIVE:
            return Candidate(NATIVE, None, NativeAttention())
        return Candidate(name, self.registry[name], self._create(name, options))

    def _create(self, name: str, options: Options) -> AttentionBackend:
        backend: AttentionBackend = self.registry.create(name, **options.get(self.registry.qualified(name), {}))
        return backend
