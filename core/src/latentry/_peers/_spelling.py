"""One spelling for the many ways in which a name is written, and sigma schedules at the end of a name."""

from __future__ import annotations

import re
from collections.abc import Iterator

from latentry._peers._registered import Installed

SHORT = {"ka": "karras", "k": "karras", "exp": "exponential", "uniform": "normal", "ddim": "ddim-uniform"}
"""What AUTOMATIC1111 and InvokeAI write for a sigma schedule, and its name here."""


def spelling(name: str) -> str:
    """One spelling for ``DPM++ 2M``, ``dpmpp_2m``, ``k_dpmpp_2m`` and ``sample_dpmpp_2m``."""
    joined = re.sub(r"[\s_-]+", "-", name.strip().casefold().replace("++", "pp"))
    return joined.removeprefix("sample-").removeprefix("k-")


def compact(name: str) -> str:
    """The same without separators, for ``EulerAncestral`` and ``SgmUniform``; a trailing ``Scheduler`` is dropped."""
    joined = spelling(name).replace("-", "")
    return joined.removesuffix("scheduler") or joined


def schedule_names(host: Installed) -> dict[str, str]:
    """``distribution:name`` of every sigma schedule, by each spelling of it."""
    registry = host.sigma_schedules
    names = {spelling(own): registry.qualified(name) for name in registry for own in (name, *registry.aliases(name))}
    return {short: names[own] for short, own in SHORT.items() if own in names} | names


def without_schedule(spelt: str, schedules: dict[str, str]) -> Iterator[tuple[str, str]]:
    """The name without a sigma schedule at its end, and that schedule; the longest schedule name first."""
    for suffix in sorted(schedules, key=len, reverse=True):
        if spelt.endswith(f"-{suffix}"):
            yield spelt.removesuffix(f"-{suffix}"), schedules[suffix]
