"""Who can serve here: what the records declare, what the probes say, and what a small numeric check shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from latentry._attention._demand import AttentionDemand, unmet
from latentry._attention._guard import AttentionGuard, Candidate
from latentry._attention._names import NATIVE
from latentry._attention._native import Native
from latentry._attention._self_check import self_check
from latentry._contract._model import AttentionBackend
from latentry._discovery import PluginHost
from latentry._discovery._problems import cause
from latentry._errors import LatentryError, OptionError

Options = Mapping[str, Mapping[str, Any]]
"""Of backends, by ``distribution:name``."""


@dataclass(frozen=True)
class Verdict:
    """Whether a backend can serve.

    Attributes:
        reason: why not; None where it can.
        broken: it is at fault, and not merely made for something else.
    """

    reason: str | None = None
    broken: bool = False


class Roster:
    """The backends of a host, and what was found out about them.

    Args:
        host: where the backends come from.
    """

    def __init__(self, host: PluginHost) -> None:
        self.registry = host.attention_backends
        self._verdicts: dict[tuple[str, str, str, torch.dtype], Verdict] = {}
        self._failures: dict[str, str] = {}

    def judge(self, name: str, options: Options, device: torch.device, dtype: torch.dtype) -> Verdict:
        """By the record and the probe.

        Raises:
            UnknownName: no such backend.
            OptionError: it has no such option.
        """
        demand = AttentionDemand(device=device.type, dtype=str(dtype).removeprefix("torch."))
        if (reason := unmet(self.registry[name], demand)) is not None:
            return Verdict(reason)
        try:
            return Verdict(self._create(name, options).probe())
        except OptionError:
            raise
        except LatentryError as error:
            return Verdict(error.why or error.what, broken=True)
        except Exception as error:  # a third party's: it must not take down those who never asked for it
            return Verdict(f"Its probe fails: {cause(error)}", broken=True)

    def prove(self, name: str, options: Options, device: torch.device, dtype: torch.dtype) -> Verdict:
        """By the record, the probe and, on the first use on this device in this dtype, a numeric check."""
        qualified = self.registry.qualified(name)
        if qualified in self._failures:
            return Verdict(self._failures[qualified], broken=True)
        key = (qualified, repr(options.get(qualified)), str(device), dtype)
        if key not in self._verdicts:
            verdict = self.judge(name, options, device, dtype)
            if verdict.reason is None:
                wrong = self_check(self.registry[name], self._create(name, options), device, dtype)
                verdict = Verdict(None if wrong is None else f"On a small sample {wrong}.", broken=wrong is not None)
            self._verdicts[key] = verdict
        return self._verdicts[key]

    def guard(self, names: tuple[str, ...], options: Options) -> AttentionGuard | None:
        """The backends of these names in one; None for the networks' own way."""
        if names == (NATIVE,):
            return None
        return AttentionGuard([self._candidate(name, options) for name in names], self._failures)

    def _candidate(self, name: str, options: Options) -> Candidate:
        if name == NATIVE:
            return Candidate(NATIVE, None, Native())
        return Candidate(name, self.registry[name], self._create(name, options))

    def _create(self, name: str, options: Options) -> AttentionBackend:
        backend: AttentionBackend = self.registry.create(name, **options.get(self.registry.qualified(name), {}))
        return backend
