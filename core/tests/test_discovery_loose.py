"""Loose plugins: a file or a folder, loaded without packaging, in a host of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from latentry import PluginError, PluginHost

PLUGIN = """
from latentry import SchedulerSpec, hookimpl

@hookimpl
def latentry_schedulers():
    yield SchedulerSpec(name="{name}", target="{target}", summary="For a test.")

class Mine:
    value = 1
"""


def write(path: Path, name: str = "mine", target: str = "mine:Mine", more: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(PLUGIN.format(name=name, target=target) + more)
    return path


def loose(*paths: Path, block: tuple[str, ...] = ()) -> PluginHost:
    """A host with nothing but these."""
    return PluginHost(load=(), plugin_dirs=paths, block=block)


def test_a_file_is_a_plugin(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.py")
    host = loose(path)
    assert host.problems == ()
    assert host.schedulers.load("mine").value == 1
    assert host.schedulers.qualified("mine") == "mine:mine"
    assert host.schedulers["mine:mine"] is host.schedulers["mine"]
    owner = host.schedulers.provenance("mine")
    assert (owner.plugin, owner.distribution, owner.version) == ("mine", str(path), "")
    (plugin,) = host.plugins
    assert (plugin.path, plugin.provides) == (path, {"schedulers": ("mine",)})


def test_a_target_may_use_the_real_module_name(tmp_path: Path) -> None:
    text = PLUGIN.format(name="mine", target="X").replace('"X"', 'f"{__name__}:Mine"')
    (tmp_path / "mine.py").write_text(text)
    assert loose(tmp_path / "mine.py").schedulers.load("mine").value == 1


def test_a_folder_can_be_a_package(tmp_path: Path) -> None:
    write(tmp_path / "mine" / "__init__.py", target="mine.code:Code")
    (tmp_path / "mine" / "code.py").write_text("from .value import VALUE\nclass Code: value = VALUE\n")
    (tmp_path / "mine" / "value.py").write_text("VALUE = 3\n")
    assert loose(tmp_path / "mine").schedulers.load("mine").value == 3


def test_a_folder_can_hold_files_and_packages(tmp_path: Path) -> None:
    write(tmp_path / "one.py", name="one")
    write(tmp_path / "two" / "__init__.py", name="two")
    write(tmp_path / "_hidden.py", name="hidden")
    (tmp_path / "notes.txt").write_text("not a plugin")
    assert loose(tmp_path).schedulers.names() == ("one", "two")


def test_nothing_is_left_in_the_way(tmp_path: Path) -> None:
    path = list(sys.path)
    before = set(sys.modules)
    loose(write(tmp_path / "mine.py"), write(tmp_path / "bad.py", more="import json\nraise OSError('bad')\n"))
    assert sys.path == path
    (new,) = (name for name in set(sys.modules) - before if "loose" in name)
    assert new.startswith("_latentry_loose_mine_")


def test_two_hosts_share_nothing_and_an_edit_is_seen(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.py")
    first = loose(path)
    write(path, name="edited")
    second = loose(path)
    assert (first.schedulers.names(), second.schedulers.names()) == (("mine",), ("edited",))
    assert first.schedulers.load("mine") is not second.schedulers.load("edited")
    assert second.problems == ()


MUTE = "class Mute(Exception):\n    def __str__(self):\n        raise OSError\nraise Mute"


@pytest.mark.parametrize("code", ["raise RuntimeError('bad')", "import sys; sys.exit(4)", "def syntax error", MUTE])
def test_a_broken_file_is_a_problem(tmp_path: Path, code: str) -> None:
    (tmp_path / "bad.py").write_text(code)
    host = loose(tmp_path / "bad.py", write(tmp_path / "mine.py"))
    assert host.schedulers.names() == ("mine",)
    (problem,) = host.problems
    assert (problem.plugin, problem.distribution, problem.stage) == ("bad", str(tmp_path / "bad.py"), "import")
    assert f"do not load {tmp_path / 'bad.py'}" in problem.message
    assert "pip" not in problem.message


def test_the_users_interrupt_is_not_a_problem_of_a_plugin(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        loose(tmp_path / "slow.py")


def test_a_path_without_a_plugin_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("")
    host = loose(tmp_path / "absent", tmp_path / "empty", tmp_path / "notes.txt", write(tmp_path / "mine.py"))
    assert host.schedulers.names() == ("mine",)
    assert [problem.stage for problem in host.problems] == ["find", "find", "find"]
    absent, empty, notes = (problem.message for problem in host.problems)
    assert "There is no such file or folder." in absent
    assert "contains no plugin" in empty
    assert "not a .py file" in notes


def test_a_second_file_of_one_name_is_refused(tmp_path: Path) -> None:
    host = loose(write(tmp_path / "a" / "mine.py"), write(tmp_path / "b" / "mine.py", name="other"))
    assert host.schedulers.names() == ("mine",)
    (problem,) = host.problems
    assert "another plugin is already called 'mine'" in problem.what
    assert "Rename the file" in problem.remedy


def test_block_holds_for_loose_plugins(tmp_path: Path) -> None:
    assert len(loose(write(tmp_path / "mine.py"), block=("mine",)).schedulers) == 0


def test_a_plugin_that_imports_what_no_listing_needs_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", None)
    del sys.modules["diffusers"]  # and monkeypatch puts back what was there
    more = "\nimport sys\nsys.modules['diffusers'] = sys\n"
    host = loose(write(tmp_path / "heavy.py", more=more), write(tmp_path / "mine.py", name="light"))
    assert [plugin.heavy for plugin in host.plugins] == [("diffusers",), ()]


def test_strict_raises(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="There is no such file or folder"):
        PluginHost(load=(), plugin_dirs=[tmp_path / "absent"], strict=True)


def test_one_string_is_not_a_collection_of_names() -> None:
    with pytest.raises(TypeError, match="not one string"):
        PluginHost(load="ddim")
