"""Where Ray is not installed, the executor is there and says what to install."""

from __future__ import annotations

import sys

import pytest

from latentry import PluginError, PluginHost
from latentry.batches import BatchSettings, Line


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "latentry_ray.cluster", raising=False)
    executor = PluginHost().executors.create("ray")
    with pytest.raises(PluginError, match=r"latentry-ray\[cluster\]"):
        list(executor.run([Line(1, {"prompt": "a"})], BatchSettings()))
