"""Where Ray is not installed, the executor is there and says what to install."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from importlib import import_module
from types import SimpleNamespace

import pytest

from latentry import PluginError, PluginHost, ResourceError
from latentry.batches import BatchSettings, Line


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "latentry_ray.cluster", raising=False)
    executor = PluginHost().executors.create("ray")
    with pytest.raises(PluginError, match=r"latentry-ray\[cluster\]"):
        list(executor.run([Line(1, {"prompt": "a"})], BatchSettings()))


@pytest.mark.parametrize(("late", "started"), [(0, True), (4, True), (5, False)])
def test_on_a_busy_machine_ray_is_started_again(monkeypatch: pytest.MonkeyPatch, late: int, started: bool) -> None:
    """A node that is late is what Ray gives up on after half a minute; another fault is told at once."""
    calls: list[str] = []

    def init(**settings: object) -> None:
        calls.append("init")
        if calls.count("init") <= late:
            raise Exception("The current node timed out during startup.")  # as Ray raises it

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init, shutdown=lambda: calls.append("shutdown")))
    monkeypatch.setitem(sys.modules, "latentry_ray.cluster", None)
    del sys.modules["latentry_ray.cluster"]
    start = import_module("latentry_ray.cluster").start
    with nullcontext() if started else pytest.raises(ResourceError, match="busy"):
        start()
    assert calls == ["init", "shutdown"] * late + ["init"] * started
    monkeypatch.setattr(sys.modules["ray"], "init", lambda **settings: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        start()
