"""``latentry[all]`` brings what most people want; what it leaves out is named here, with the reason."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from support.distributions import CORE

LEFT_OUT = {
    r"latentry-attention-(flash|sage|xformers)": "needs a GPU package of its own",
    r"latentry-attention-flex": "for comparisons; on a GPU its first call compiles for seconds",
    r"latentry-bridge-.*": "for users of another program",
    r"latentry-dev": "for authors of plugins",
    r"latentry-diffusers": "a library, which comes with the families",
    r"latentry-ray": "for those who have several machines",
    r"latentry-server": "for those who draw for others",
    r"latentry-shapes-.*": "further models, up to 13 MB each",
}
PLUGINS = sorted(path.parent.name for path in (CORE.parent / "plugins").glob("*/pyproject.toml"))
EXTRAS = tomllib.loads((CORE / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]


def test_all_brings_every_plugin_but_those_left_out() -> None:
    wanted = [name for name in PLUGINS if not any(re.fullmatch(pattern, name) for pattern in LEFT_OUT)]
    assert [Requirement(text).name for text in EXTRAS["all"]] == wanted


@pytest.mark.parametrize("pattern", [pattern for pattern in LEFT_OUT if pattern != "latentry-dev"])
def test_what_is_left_out_exists(pattern: str) -> None:
    assert [name for name in PLUGINS if re.fullmatch(pattern, name)]
