"""The kinds of record are one list: registries, hooks and checks follow from it, whatever the kind."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import get_type_hints

from support.distributions import CORE, Distribution, Report, Site, install
from support.faulty import IMPORTS

from latentry import PluginHost
from latentry._discovery._kinds import CORE_COMMANDS, KINDS

PAGE = CORE.parent / "docs" / "plugin-kinds.md"


def test_every_kind_has_a_registry_of_its_own_record_and_a_typed_attribute() -> None:
    host, hints = PluginHost(load=()), get_type_hints(PluginHost)
    for kind in KINDS:
        assert getattr(host, kind.attribute).names() == ()
        assert hints[kind.attribute].__args__ == (kind.record,)
    assert {name for name in hints if hasattr(host, name)} == {kind.attribute for kind in KINDS}


def test_sources_and_commands_are_registered_and_loaded(report: Report, crowd: Site) -> None:
    assert "shelf" in report.names["model_sources"]
    assert "greet" in report.names["commands"]
    code = """
        import sys
        from latentry import PluginHost
        host = PluginHost(load=["kinds"])
        print("latentry_kinds.code" in sys.modules, host.commands["greet"].summary)
        print(host.commands.load("greet").name, host.model_sources.load("shelf").__name__)
    """
    assert crowd.python(code).splitlines() == ["False Print a greeting.", "greet Shelf"]


def test_a_command_cannot_take_a_name_of_the_core(report: Report) -> None:
    faults = [problem["what"] for problem in report.of("latentry-kinds")]
    assert any("'generate' cannot be registered: the core has a command 'generate' of its own" in f for f in faults)
    assert any("'hello' cannot be registered: the core has a command 'show' of its own" in f for f in faults)
    assert any("'mute' cannot be registered: it must say in words what its names look like" in f for f in faults)
    assert len(faults) == 3


def test_the_reserved_commands_are_those_of_the_command_line() -> None:
    from latentry._cli._app import COMMANDS

    assert set(COMMANDS) == CORE_COMMANDS


UPSCALERS = Distribution(
    "latentry-upscalers",
    IMPORTS
    + """
from latentry._specs import UpscalerSpec

@hookimpl
def latentry_upscalers():
    yield UpscalerSpec(name="twice", target="latentry_upscalers:Twice", summary="For a test.", factor=2)
    yield UpscalerSpec(name="Bad Name", target="latentry_upscalers:Twice", summary="For a test.", factor=2)
    yield 3

class Twice: pass
""",
)


def test_another_kind_is_a_record_a_hook_and_a_line(core: Path, tmp_path: Path) -> None:
    """In a copy of the core with what the page says added, and nothing else."""
    copy = Path(shutil.copytree(core, tmp_path / "core"))
    for file, text in blocks(PAGE).items():
        with (copy / "latentry" / file).open("a", encoding="utf-8") as stream:
            stream.write(f"\n{text}")
    site = Site((copy, install(tmp_path, UPSCALERS)))
    code = """
        from latentry import PluginHost, UnknownName
        host = PluginHost(load=["upscalers"])
        print(host.upscalers["twice"].factor, host.upscalers.create("twice"), host.plugins[0].provides)
        print([problem.what.partition(": ")[2] for problem in host.problems])
        try:
            host.upscalers["thrice"]
        except UnknownName as error:
            print(error.what)
    """
    found, problems, unknown = site.python(code).splitlines()
    assert found.startswith("2 <latentry_upscalers.Twice object")
    assert found.endswith("{'upscalers': ('twice',)}")
    assert "hook 'latentry_upscalers' yields int instead of UpscalerSpec" in problems
    assert "the upscaler 'Bad Name' cannot be registered" in problems
    assert unknown == "There is no upscaler 'thrice'."


def blocks(page: Path) -> dict[str, str]:
    """The page's Python blocks by the file that each begins with, as ``# file``."""
    found = re.findall(r"```python\n# (\S+)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert [file for file, _ in found] == ["_specs.py", "hookspecs.py", "_discovery/_kinds.py"]
    return dict(found)
