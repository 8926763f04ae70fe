"""Versions of the contract, compared by hand where that is safe and by ``packaging`` where it is not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from latentry._discovery._loading._contract import _simple_miss, _thorough_miss, check_api, check_requirements
from latentry._errors import PluginError
from latentry._specs import API, Spec

CORES = ("0.1.0", "0.9", "1.0", "1.4.1", "1.4.2", "1.5", "2.0.0")
CLAUSES = ("", ">=1", ">=1.0,<2", ">1.4.1", "<=1.4.2", "<2", "==1.0.0", "!=1.0", "~=1.4", "~=1.4.2", "(>=0.9)")


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("clause", CLAUSES)
def test_comparing_by_hand_agrees_with_packaging(core: str, clause: str) -> None:
    by_hand = _simple_miss(f"latentry{clause}", core)
    assert by_hand is not None, "it was to be simple enough"
    assert bool(by_hand) == bool(_thorough_miss(f"latentry{clause}", core))


@pytest.mark.parametrize(
    ("requirement", "core"),
    [
        ("latentry[sd]>=1", "1.0"),
        ("latentry==1.*", "1.0"),
        ("latentry>=1; python_version>'3'", "1.0"),
        ("latentry>=1.0rc1", "1.0"),
        ("latentry>=1", "1.1.dev3"),
        ("latentry @ https://example.org/latentry.whl", "1.0"),
    ],
)
def test_whatever_is_not_simple_is_left_to_packaging(requirement: str, core: str) -> None:
    assert _simple_miss(requirement, core) is None
    check_requirements("a-plugin", [requirement], core)


@pytest.mark.parametrize(
    ("requirement", "core", "remedy"),
    [
        ("latentry>=1.2", "1.1", "Upgrade the core to latentry>=1.2."),
        ("latentry<2", "2.0", "Upgrade the plugin, a-plugin."),
        ("latentry~=1.4", "2.0", "Upgrade the plugin, a-plugin."),
        ("latentry==1.*", "2.0", "Upgrade the plugin, a-plugin."),
        ("Latentry[sd]>=1.2 ; python_version > '3'", "1.1", "Upgrade the core to Latentry[sd]>=1.2."),
        ("latentry>=1.1", "1.1.dev3", "Upgrade the core to latentry>=1.1."),
    ],
)
def test_a_mismatch_says_which_side_to_upgrade(requirement: str, core: str, remedy: str) -> None:
    with pytest.raises(PluginError) as caught:
        check_requirements("a-plugin", ["torch>=2", requirement], core)
    assert remedy in caught.value.remedy
    assert core in caught.value.what


def test_requirements_on_others_do_not_count() -> None:
    check_requirements("a-plugin", ["latentry-sd>=99", "torch>=99", "not a requirement ???"], "1.0")


@pytest.mark.parametrize("api", [API, (API[0], 0)])
def test_an_api_of_this_major_up_to_this_minor_is_served(api: tuple[int, int]) -> None:
    check_api("a-plugin", Spec(name="a", target="a:b", summary="A.", api=api))


@pytest.mark.parametrize(
    ("api", "upgrade"),
    [((API[0], API[1] + 1), "latentry"), ((API[0] + 1, 0), "latentry"), ((API[0] - 1, 9), "a-plugin")],
)
def test_any_other_api_is_refused(api: tuple[int, int], upgrade: str) -> None:
    with pytest.raises(PluginError, match=f"Upgrade the (core|plugin), {upgrade}\\."):
        check_api("a-plugin", Spec(name="a", target="a:b", summary="A.", api=api))


def test_the_usual_case_leaves_packaging_alone() -> None:
    code = """if True:
        import sys
        from latentry._discovery._loading._contract import check_requirements
        check_requirements("a", ["torch>=2; extra == 'x'", "latentry>=1,<2"], "1.5")
        sys.exit("packaging" in sys.modules)
    """
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
