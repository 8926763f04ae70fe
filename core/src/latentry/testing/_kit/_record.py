"""Checks of any kind's record; nothing is computed here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from latentry._discovery import Provenance
from latentry._discovery._kinds import KINDS, Kind
from latentry._specs import API, Spec
from latentry.testing._kit._checked import Checked, split_exemption
from latentry.testing._result import CheckResult, not_run

HEAVY = ("torch", "diffusers", "transformers")
LISTING = """
import json, sys
from latentry import PluginHost
given = json.loads(sys.argv[1])
host = PluginHost(load=given["load"], plugin_dirs=given["plugin_dirs"])
record = getattr(host, given["attribute"])[given["name"]]
"""
"""Finds one record in a process of its own; ``host`` and ``record`` are what code after it can use."""
LOADED = f'\nprint(" ".join(name for name in {HEAVY} if name in sys.modules))\n'


def record_faults(spec: Spec, checks: Container[str], labels: Container[str] = ("",)) -> Iterator[str]:
    """What is wrong with the fields that every record has.

    Args:
        spec: the record.
        checks: names of the checks that it may exempt itself from.
        labels: of the cases that an exemption may be for.
    """
    if not spec.name or spec.name != spec.name.lower():
        yield f"the name {spec.name!r} is not in lower case"
    if "\n" in spec.summary:
        yield "the summary has more than one line"
    if spec.api[0] != API[0] or spec.api > API:
        yield f"api {spec.api} is not the core's {API}"
    for name, reason in spec.exemptions:
        check, label = split_exemption(name)
        if check not in checks or label not in labels:
            yield f"the exemption {name!r} names no check or case of this suite"
        elif not reason.strip():
            yield f"the exemption from {name!r} has no reason"


def licence_faults(licence: str) -> Iterator[str]:
    """What is wrong with the licence of weights."""
    if not licence.strip() or " " in licence:
        yield f"the licence is {licence!r}, not an SPDX identifier"


def listing_of(subject: Checked) -> Iterator[CheckResult]:
    """The check ``listing`` of any kind: a listing of the plugin's records imports no heavy library."""
    if not subject.installed:
        return
    owner = owner_of(subject)
    if not owner.version and Path(owner.distribution).is_file():
        yield not_run("listing", "one file holds the record and the code")
    else:
        done = in_new_process(subject, LOADED)
        heavy = done.stdout.strip() if done.returncode == 0 else (done.stderr.strip().splitlines() or ["it ended"])[-1]
        yield CheckResult(
            check="listing", case="all", declared="imports no torch", measured=heavy or "none", passed=not heavy
        )


def in_new_process(subject: Checked, code: str, **given: Any) -> subprocess.CompletedProcess[str]:
    """Runs code in a new Python that has loaded the subject's plugin alone, as ``record``.

    Args:
        subject: something that a plugin registers.
        code: what to run after ``LISTING``.
        given: what the code finds in ``given``.
    """
    owner, attribute = owner_of(subject), kind_of(subject.spec).attribute
    given |= {"attribute": attribute, "name": getattr(subject.host, attribute).qualified(subject.installed)}
    given |= {"load": [owner.distribution, "latentry"], "plugin_dirs": []}
    if not owner.version:  # a loose file
        given |= {"load": ["latentry"], "plugin_dirs": [owner.distribution]}
    return run_python(LISTING + code, given)


def kind_of(spec: Spec) -> Kind[Any]:
    """The kind of a record."""
    return next(kind for kind in KINDS if isinstance(spec, kind.record))


def owner_of(subject: Checked) -> Provenance:
    """Who registered the subject."""
    provenance: Provenance = getattr(subject.host, kind_of(subject.spec).attribute).provenance(subject.installed)
    return provenance


def run_python(code: str, given: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
    """Runs code in a new Python with this one's import path; its first argument is ``given`` as JSON."""
    command = [sys.executable, "-c", code, json.dumps(given)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)


def summed(check: str, declared: str, faults: Iterable[str], case: str = "all") -> CheckResult:
    """One finding of all the faults."""
    found = "; ".join(faults)
    return CheckResult(check=check, case=case, declared=declared, measured=found or "as declared", passed=not found)
