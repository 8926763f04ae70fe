"""Plugins that load well and fail when they run, each really installed: the error names the plugin and the line."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.distributions import Distribution, Site, install
from support.faulty import IMPORTS


def running(kind: str, hook: str, record: str, code: str) -> Distribution:
    """A distribution ``latentry-run-KIND`` that registers one record; its code is in ``code.py``."""
    record = record.replace("CODE", f"latentry_run_{kind}.code")
    return Distribution(
        f"latentry-run-{kind}",
        f"{IMPORTS}from latentry import *\n\n@hookimpl\ndef {hook}():\n    yield {record}\n",
        {"code.py": code},
    )


STEP = """
from latentry import Scheduler

class Raises(Scheduler):
    def step(self, x, interval, memory, noise):
        denoised = yield interval.start.query(x)
        return denoised.at(interval.end).no_such_attribute, memory
"""
FAMILY = """
def detect(files):
    raise IndexError("list index out of range")

def open_checkpoint(files, variant):
    raise AssertionError("never called")
"""
SOURCE = """
class Raises:
    def claims(self, text):
        return text == "crash/claims" or {}["claims"]

    def fetch(self, text, options):
        import os
        os.stat("/no/such/place")
"""
CHECKPOINT = "def where():\n    import sys\n    sys.exit(7)\n"

PLUGINS = (
    running("step", "latentry_schedulers", "SchedulerSpec(name='raises', target='CODE:Raises', summary='A.')", STEP),
    running(
        "family",
        "latentry_model_families",
        "ModelFamilySpec(name='raises', target='CODE:open_checkpoint', detector='CODE:detect', summary='A.', "
        "process='vp', variants=(VariantSpec(name='v', summary='A.', schedulers=('latentry-ddim:ddim',)),))",
        FAMILY,
    ),
    running(
        "source",
        "latentry_model_sources",
        "ModelSourceSpec(name='raises', target='CODE:Raises', summary='A.', names='crash/NAME')",
        SOURCE,
    ),
    running(
        "checkpoint",
        "latentry_checkpoints",
        "CheckpointSpec(name='raises', target='CODE:where', summary='A.', family='a:b', variant='v', size=64, "
        "licence='MIT')",
        CHECKPOINT,
    ),
)


@pytest.fixture(scope="module")
def site(core: Path, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site((core, install(tmp_path_factory.mktemp("running"), *PLUGINS)))


CASES = {
    "a detector": ("family", "locate(host, {folder!r}, None)", "model family", "IndexError", 3, "detect"),
    "a source's claims": (
        "source",
        "locate(host, 'other/name', None)",
        "model source",
        "KeyError: 'claims'",
        4,
        "claims",
    ),
    "a source's fetch": (
        "source",
        "locate(host, 'crash/claims', None)",
        "model source",
        "FileNotFoundError",
        8,
        "fetch",
    ),
    "a model's place": ("checkpoint", "locate(host, 'raises', None)", "model", "SystemExit: 7", 3, "where"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_plugin_that_fails_while_running_is_named_with_its_line(site: Site, tmp_path: Path, case: str) -> None:
    kind, call, noun, cause, line, function = CASES[case]
    (tmp_path / "model").mkdir()
    code = f"""
        from latentry import PluginError, PluginHost
        from latentry._files._finding._locate import locate
        host = PluginHost(load=["run-{kind}"], strict=True)
        try:
            {call.format(folder=str(tmp_path / "model"))}
        except PluginError as error:
            print(error.what)
            print(error.why.splitlines()[0])
            print(error.remedy)
            print(type(error.__cause__).__name__)
    """
    what, why, remedy, chained = site.python(code).splitlines()
    assert what == f"The {noun} 'raises' of latentry-run-{kind} 1.0 failed."
    assert why.startswith(cause)
    assert f"latentry_run_{kind}/code.py:{line}, in {function})" in why
    assert f"newer release of latentry-run-{kind}" in remedy
    assert chained == cause.partition(":")[0]


def test_a_scheduler_that_fails_in_a_step_is_named_with_its_line(site: Site) -> None:
    code = """
        import torch
        from latentry import PluginError, PluginHost, Prediction, VariancePreserving
        from latentry.sigmas import Leading
        scheduler = PluginHost(load=["run-step"], strict=True).schedulers.create("raises")
        process = VariancePreserving.from_betas("scaled_linear")
        plan = scheduler.plan(3, process=process, prediction=Prediction.EPSILON, sigmas=Leading())
        run = plan.start(torch.zeros(1, 4, 8, 8), seed=1)
        query = run.query
        try:
            run.advance(query.input)
        except PluginError as error:
            print(error.what)
            print(error.why)
    """
    what, why = site.python(code).splitlines()
    assert what == "The scheduler 'raises' of latentry-run-step 1.0 failed."
    assert "no_such_attribute" in why
    assert "latentry_run_step/code.py:7, in step)" in why
