"""Every method of this distribution does what a guidance method must."""

from __future__ import annotations

import pytest

from latentry import PluginHost
from latentry.testing import KITS, GuidanceSuite

HOST = PluginHost(load=["latentry", "latentry-guidance"])
METHODS = [name for name in HOST.guidance if HOST.guidance.provenance(name).distribution == "latentry-guidance"]


class TestAPG(GuidanceSuite):
    method = "apg"


@pytest.mark.parametrize("name", METHODS)
def test_a_method_does_what_its_record_says(name: str) -> None:
    kit = KITS["guidance"]
    subject = kit.subject(name, host=HOST)
    findings = [result for check in kit.checks for result in kit.run(subject, check)]
    assert [str(result) for result in findings if not result.passed] == []
    assert len(METHODS) > 8
