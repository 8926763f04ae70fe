"""How models may be reached."""

from __future__ import annotations

from dataclasses import dataclass

from latentry._contract._model_source import FetchOptions, Report, silent_report
from latentry._discovery import host_callback
from latentry._policy import ANYTHING, Policy


@dataclass(frozen=True)
class Access:
    """How models may be reached.

    Attributes:
        revision: branch, tag or commit of the model, where it comes from a model source; None for the newest.
        offline: model sources use what is on this machine already, and contact nobody.
        report: takes lines of progress while something is fetched.
        policy: what may be opened and asked, where the names come from somebody else.
    """

    revision: str | None = None
    offline: bool = False
    report: Report = silent_report
    policy: Policy = ANYTHING

    def options(self, text: str, *, weights: bool) -> FetchOptions:
        """What a model source is given to fetch a text."""
        offline = self.offline or not self.policy.allows_download(text)
        return FetchOptions(self.revision, weights, offline, host_callback(self.report))


UNRESTRICTED = Access()
"""The newest revision, over the network if need be."""
