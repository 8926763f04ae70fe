"""Records that do not say what their schedulers are, each found by the check that is for it; as loose packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentry import PluginHost
from latentry._discovery._kinds import KINDS
from latentry.testing import KITS, Subject

RECORD = """
from latentry import SchedulerCase, SchedulerSpec, hookimpl

@hookimpl
def latentry_schedulers():
    yield SchedulerSpec(name="planted", target="planted.code:Planted", summary="For a test.", order=1)
"""
CODE = """
from pydantic import Field
from latentry import Scheduler

class Planted(Scheduler):
    gain: float = Field(default=1.0, description="multiplies x₀")

    def step(self, x, interval, memory, noise):
        denoised = yield interval.start.query(x)
        return denoised.with_x0(denoised.x0 * self.gain).at(interval.end), memory
"""
FAULTS = {
    "torch in the record's module": (
        "listing",
        "@hookimpl",
        "import torch\n\n@hookimpl",
    ),
    "diffusers in the record's module": ("listing", "@hookimpl", "import diffusers\n\n@hookimpl"),
    "an order too high": ("convergence", "order=1", "order=2"),
    "evaluations that are not made": ("evaluations", "order=1", "order=1, evaluations=2"),
    "noise that is not drawn": ("noise", "order=1", "order=1, stochastic=True"),
    "a variable order above the order": ("spec", "order=1", "order=1, variable_order=2"),
    "adaptive in the record alone": ("options", "order=1", "order=1, adaptive=True"),
    "needs in the record alone": ("options", "order=1", 'order=1, needs=frozenset({"uncond"})'),
    "an exemption without a reason": ("spec", "order=1", 'order=1, exemptions=(("arrival", ""),)'),
    "an exemption from nothing": ("spec", "order=1", 'order=1, exemptions=(("departure", "why"),)'),
    "a case that is wrong": (
        "arrival",
        "order=1",
        'order=1, cases=(SchedulerCase(options=(("gain", 1.5),), order=1),)',
    ),
    "an option without a description": ("options", ', description="multiplies x₀"', ""),
    "draws that are not declared": ("noise", "self.gain).at", "self.gain + 0.0 * noise()).at"),
    "levels off the grid that are not declared": (
        "off_grid",
        "yield interval.start.query(x)",
        "yield interval.at(lam=interval.start.lam + 0.01).query(x)",
    ),
    "state on self": (
        "determinism",
        "        denoised = yield",
        '        object.__setattr__(self, "gain", self.gain * 1.01)\n        denoised = yield',
    ),
    "a number fetched from the device": (
        "host_sync",
        "denoised.x0 * self.gain",
        "denoised.x0 * (self.gain if denoised.x0.mean().item() else 1.0)",
    ),
    "a draw from torch's global generator": (
        "determinism",
        "denoised.x0 * self.gain",
        "denoised.x0 * self.gain + __import__('torch').randn_like(denoised.x0)",
    ),
    "a wrong coefficient": ("arrival", "denoised.x0 * self.gain", "denoised.x0 * 1.005"),
}


def results_of(folder: Path, check: str, right: str = "", wrong: str = "") -> list[str]:
    """The failed findings of a check of the plugin with a fault."""
    (folder / "planted").mkdir()
    for name, text in {"__init__.py": RECORD, "code.py": CODE}.items():
        (folder / "planted" / name).write_text(text.replace(right, wrong) if right else text, encoding="utf-8")
    assert not right or (RECORD + CODE).count(right) == 1, "the line has changed: plant the fault anew"
    host = PluginHost(load=["latentry"], plugin_dirs=[folder / "planted"])
    subject = Subject.of("planted", host=host)
    failed = [result for result in KITS["schedulers"].run(subject, check) if not result.passed]
    assert all(len(result.hint) > 30 for result in failed)
    return [str(result) for result in failed]


@pytest.mark.slow
@pytest.mark.parametrize("what", FAULTS)
def test_the_fault_is_found_and_the_message_says_what_to_change(tmp_path: Path, what: str) -> None:
    assert results_of(tmp_path, *FAULTS[what])


@pytest.mark.slow
@pytest.mark.parametrize("check", sorted({check for check, *_ in FAULTS.values()}))
def test_without_a_fault_it_passes(tmp_path: Path, check: str) -> None:
    assert results_of(tmp_path, check) == []


def test_every_kind_of_plugin_has_checks() -> None:
    """A new kind: write its suite, in ``testing``, and its template, in ``latentry-dev``."""
    assert set(KITS) == {kind.attribute for kind in KINDS}
