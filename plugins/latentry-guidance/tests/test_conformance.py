"""The conformance suite on every method."""

from __future__ import annotations

from latentry import PluginHost
from latentry.testing import GuidanceSuite


class TestApg(GuidanceSuite):
    method = "apg"


class TestAutoguidance(GuidanceSuite):
    method = "autoguidance"


class TestCfgZeroStar(GuidanceSuite):
    method = "cfg-zero-star"


class TestTcfg(GuidanceSuite):
    method = "tcfg"


class TestFdg(GuidanceSuite):
    method = "fdg"


class TestMagnitudeAware(GuidanceSuite):
    method = "magnitude-aware"


class TestCfgPlusPlus(GuidanceSuite):
    method = "cfg-plus-plus"


class TestScheduled(GuidanceSuite):
    method = "scheduled"


class TestTrueCfg(GuidanceSuite):
    method = "true-cfg"


class TestPag(GuidanceSuite):
    method = "pag"


class TestSeg(GuidanceSuite):
    method = "seg"


def test_every_method_of_this_distribution_is_here() -> None:
    host = PluginHost(load=["latentry", "latentry-guidance"])
    suites = [each.method for each in globals().values() if isinstance(each, type) and each.__base__ is GuidanceSuite]
    owned = [name for name in host.guidance if host.guidance.provenance(name).distribution == "latentry-guidance"]
    assert sorted(suites) == sorted(owned)
