"""``latentry plugins --check``: every target is imported, and what makes listings slow is a problem."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.distributions import Distribution, Site, install
from support.faulty import FINE, FINE_CODE, NO_CLASS, NO_MODULE, scheduler

SLOW = Distribution(
    "latentry-slow",
    "import time\ntime.sleep(1.1)\n" + scheduler("slow", target="latentry_slow.code:Fine"),
    {"code.py": FINE_CODE},
)
HEAVY = Distribution(
    "latentry-heavy",
    "import sys\nsys.modules.setdefault('torch', sys)\n" + scheduler("heavy", target="latentry_heavy.code:Fine"),
    {"code.py": FINE_CODE},
)
LOUD = Distribution(
    "latentry-loud",
    'print(\'{"plugins": "at import"}\')\n'
    + scheduler("loud", target="latentry_loud.code:Fine")
    + "    print('in the hook')\n",
    {"code.py": "print('at the target')\n" + FINE_CODE},
)


@pytest.fixture(scope="module")
def site(core: Path, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The core, a plugin in order, and those that a listing alone does not see through."""
    folder = tmp_path_factory.mktemp("check")
    return Site((core, install(folder, FINE, SLOW, HEAVY, LOUD, NO_MODULE, NO_CLASS)))


def check(site: Site, plugin: str) -> tuple[int, dict[str, Any]]:
    done = site.latentry("plugins", "--check", "--json", LATENTRY_PLUGINS=plugin)
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize(
    ("plugin", "stage", "words"),
    [
        ("no-module", "load", "cannot be loaded from latentry_no_module.gone:X"),
        ("no-class", "load", "cannot be loaded from latentry_no_class:Missing"),
        ("heavy", "import", "importing it imports torch"),
        ("slow", "import", "s; it may take 1 s"),
    ],
)
def test_what_a_listing_does_not_see_fails_the_check(site: Site, plugin: str, stage: str, words: str) -> None:
    code, found = check(site, plugin)
    (problem,) = found["problems"]
    assert (code, problem["stage"], problem["distribution"]) == (1, stage, f"latentry-{plugin}")
    assert words in problem["what"]
    assert [target["found"] for target in found["targets"]] == [stage != "load"]


def test_a_plugin_in_order_passes_and_its_times_are_reported(site: Site) -> None:
    code, found = check(site, "fine")
    assert (code, found["problems"]) == (0, [])
    (target,) = found["targets"]
    assert (target["record"], target["field"], target["found"]) == ("latentry-fine:fine", "target", True)
    assert target["seconds"] > found["plugins"][0]["import_seconds"] > 0  # its code imports pydantic
    _, slow = check(site, "slow")
    assert slow["plugins"][0]["import_seconds"] > 1.1


def test_without_check_no_target_is_imported(site: Site) -> None:
    done = site.latentry("plugins", "--json", LATENTRY_PLUGINS="no-module")
    assert (done.returncode, json.loads(done.stdout)["problems"]) == (0, [])


@pytest.mark.parametrize("command", [("plugins", "--check"), ("schedulers",), ("attention",)])
def test_what_a_plugin_prints_stays_out_of_the_output(site: Site, command: tuple[str, ...]) -> None:
    done = site.latentry(*command, "--json", LATENTRY_PLUGINS="loud")
    json.loads(done.stdout)
    assert "at import" in done.stderr
    assert "in the hook" in done.stderr
    assert ("at the target" in done.stderr) == ("--check" in command)
