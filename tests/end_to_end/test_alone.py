"""Every scheduler plugin as a wheel beside the core's wheel and nothing else: its own tests pass there.

The conformance checks that take seconds each are left out, unless ``LATENTRY_WHOLE`` is set in the environment.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support.distributions import CORE
from support.isolated import PLUGINS, Environment, build_wheels, make_environment

pytestmark = pytest.mark.slow

DIRECTORY = json.loads((CORE / "src/latentry/_peers/directory.json").read_text(encoding="utf-8"))
SCHEDULERS = sorted(set(DIRECTORY["schedulers"].values()))
LONG = ("convergence", "variance", "coefficients", "stability", "host_sync", "listing")
RUN = """
import json, sys
from importlib.util import find_spec
import pytest
from latentry import PluginHost
host = PluginHost(strict=True)
others = filter(find_spec, ("diffusers", "transformers", "scipy", "support", "latentry_sd"))
found = {"plugins": sorted(plugin.distribution for plugin in host.plugins), "others": list(others)}
print(json.dumps(found | {"schedulers": list(host.schedulers)}), flush=True)
sys.exit(pytest.main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Of the core and of every scheduler plugin, by distribution."""
    folder = tmp_path_factory.mktemp("wheels")
    built = build_wheels(folder, CORE, *(PLUGINS / name for name in SCHEDULERS))
    return dict(zip(["latentry", *SCHEDULERS], built, strict=True))


@pytest.fixture(scope="module")
def environment(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """With the core and pytest."""
    made = make_environment(tmp_path_factory.mktemp("alone"), "latentry", also=("pytest",))
    made.install(wheels["latentry"])
    return made


@pytest.mark.parametrize("plugin", SCHEDULERS)
def test_it_passes_its_own_tests(environment: Environment, wheels: dict[str, Path], plugin: str) -> None:
    environment.install(wheels[plugin])
    try:
        chosen = [] if os.environ.get("LATENTRY_WHOLE") else ["-k", f"not ({' or '.join(LONG)})"]
        # no cache, no configuration and no conftest of the workspace
        bare = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, "--import-mode=importlib", "--noconftest"]
        done = environment.run("-c", RUN, *bare, *chosen, PLUGINS / plugin / "tests")
    finally:
        environment.pip("uninstall", "--yes", plugin)
    assert done.returncode == 0, done.stdout + done.stderr
    mine = [name for name, distribution in DIRECTORY["schedulers"].items() if distribution == plugin]
    expected = {"plugins": ["latentry", plugin], "others": [], "schedulers": sorted(mine)}
    assert json.loads(done.stdout.splitlines()[0]) == expected
