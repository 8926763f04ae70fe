"""The commands that list, among broken plugins; and what they cost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.distributions import Distribution, Site, install
from support.faulty import scheduler

COMMANDS = ("schedulers", "sigmas", "families", "attention", "models", "plugins")

ATTENTION = """
from latentry import AttentionBackendSpec, hookimpl

@hookimpl
def latentry_attention_backends():
    common = dict(summary="For a test.", devices=frozenset({"cpu"}), dtypes=frozenset({"float32"}))
    for rank, name in enumerate(("Raises", "Refuses", "Ready")):
        extra = "latentry-focus[kernels]" if name == "Refuses" else ""
        target = f"latentry_focus.code:{name}"
        yield AttentionBackendSpec(name=name.lower(), target=target, rank=rank, extra=extra, **common)
    narrow = dict(masks=False, causal=False, scales=False, max_head_size=96, head_multiple=8, error=0.01)
    yield AttentionBackendSpec(name="narrow", target="latentry_focus.code:Ready", rank=-1, **common, **narrow)
    yield AttentionBackendSpec(name="gone", target="latentry_focus.gone:Gone", extra="nowhere", **common)
"""
PROBES = """
class Ready:
    def probe(self): return None
class Refuses:
    @staticmethod
    def probe(): return "needs a device of [another] kind"
class Raises:
    def probe(self): raise OSError("no driver")
"""

FOCUS = Distribution(
    "latentry-focus",
    ATTENTION,
    {"code.py": PROBES},
    extras={"kernels": ("absent-kernels>=1", "latentry-sound"), "others": ("absent-too",)},
)
SOUND = Distribution("latentry-sound", scheduler("sound", more="aliases=('noise',), citation='Someone 2020'"))


@pytest.fixture(scope="module")
def sound(core: Path, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The core and two plugins that are in order."""
    return Site((core, install(tmp_path_factory.mktemp("listing"), FOCUS, SOUND)))


ONLY = {"LATENTRY_PLUGINS": "latentry, focus, sound"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_listing_survives_the_crowd(crowd: Site, command: str) -> None:
    table, data = crowd.latentry(command), crowd.latentry(command, "--json")
    assert table.returncode == data.returncode == 0
    assert "Traceback" not in table.stderr + data.stderr
    json.loads(data.stdout)
    pointed = "plugin problems, see `latentry plugins`" in table.stderr
    assert pointed == (command != "plugins")


def test_json_has_the_record_and_its_provenance(sound: Site) -> None:
    (record,) = json.loads(sound.latentry("schedulers", "--json", **ONLY).stdout)
    assert record["select"] == "sound"
    assert record["qualified"] == "latentry-sound:sound"
    assert (record["plugin"], record["distribution"], record["version"]) == ("sound", "latentry-sound", "1.0")
    assert record["processes"] == ["edm", "flow", "vp"]
    assert record["sigmas"][0]["name"] == "latentry:trailing"


def test_tables_say_what_and_from_where(sound: Site) -> None:
    table = sound.latentry("schedulers", **ONLY).stdout
    assert all(word in table for word in ("sound", "noise", "edm, flow, vp", "For a test.", "latentry-sound 1.0"))
    assert "Someone 2020" in sound.latentry("schedulers", "sound", "--verbose", **ONLY).stdout


def test_attention_says_why_not(sound: Site) -> None:
    records = json.loads(sound.latentry("attention", "--probe", "--json", **ONLY).stdout)
    assert [(record["name"], record["available"]) for record in records] == [
        ("ready", True),
        ("refuses", False),
        ("gone", False),
        ("raises", False),
        ("narrow", True),
    ]
    reasons = {record["name"]: record["reason"] for record in records}
    assert reasons["ready"] == ""
    assert reasons["refuses"] == "needs a device of [another] kind"
    assert reasons["raises"] == "its probe fails: OSError: no driver"
    assert "No module named 'latentry_focus.gone'" in reasons["gone"]
    assert "needs a device of [another] kind" in sound.latentry("attention", "--probe", **ONLY).stdout


def test_attention_asks_no_backend_unless_it_is_told_to(sound: Site) -> None:
    """Targets raise and cannot be imported: nothing of that shows."""
    done = sound.latentry("attention", "--json", **ONLY)
    assert {(record["available"], record["reason"]) for record in json.loads(done.stdout)} == {(None, "")}
    assert "latentry attention --probe" in sound.latentry("attention", **ONLY).stdout
    (ready,) = json.loads(sound.latentry("attention", "ready", "--json", **ONLY).stdout)
    assert ready["available"] is True


def test_attention_says_which_packages_a_backend_lacks(sound: Site) -> None:
    records = json.loads(sound.latentry("attention", "--json", **ONLY).stdout)
    lacks = {record["name"]: record["lacks"] for record in records}
    assert lacks == {"ready": [], "refuses": ["absent-kernels"], "gone": ["nowhere"], "raises": [], "narrow": []}


def column(table: str, name: str, end: str) -> dict[str, str]:
    """Cells of a column by the names in the first one."""
    header, *lines = table.split("\n\n")[0].splitlines()
    begin, stop = header.index(name), header.index(end)
    return {line.split()[0]: line[begin:stop].strip() for line in lines}


def test_attention_says_what_a_backend_does_not_take(sound: Site) -> None:
    limits = column(sound.latentry("attention", **ONLY).stdout, "limits", "dtypes")
    assert limits["narrow"] == "no mask, not causal, no scale, head size to 96, in steps of 8, not exact"
    assert limits["ready"] == limits["raises"] == "-"


def test_attention_says_what_is_not_here_and_how_to_have_it(sound: Site) -> None:
    _, found, last = sound.latentry("attention", **ONLY).stdout.replace("\n", " ").partition("Not installed: ")
    assert found
    for name in ("sdpa", "sliced", "flash"):
        assert f"{name} (latentry-attention-{name})" in last
    assert "ready" not in last


def test_plugins_lists_what_they_provide_and_what_is_wrong(crowd: Site) -> None:
    shown = crowd.latentry("plugins").stdout
    assert "schedulers: fine" in shown
    assert "problem: plugin 'crash' of latentry-crash 1.0: cannot be imported" in shown
    assert "pip uninstall latentry-crash" in shown
    data = json.loads(crowd.latentry("plugins", "--json").stdout)
    fine = next(plugin for plugin in data["plugins"] if plugin["name"] == "fine")
    assert fine["provides"] == {"schedulers": ["fine"]}
    assert "pip uninstall latentry-fine" in fine["removal"]
    assert {problem["stage"] for problem in data["problems"]} >= {"contract", "import", "collision"}


def test_check_is_for_scripts(crowd: Site, sound: Site) -> None:
    assert crowd.latentry("plugins", "--check").returncode == 1
    assert sound.latentry("plugins", "--check", LATENTRY_PLUGINS="latentry").returncode == 0


def test_the_environment_chooses_plugins(crowd: Site) -> None:
    none = crowd.latentry("plugins", "--json", LATENTRY_PLUGINS="")
    assert json.loads(none.stdout) == {"plugins": [], "problems": []}
    blocked = crowd.latentry("schedulers", "--json", LATENTRY_PLUGINS="fine,crash", LATENTRY_BLOCK="crash")
    assert [record["name"] for record in json.loads(blocked.stdout)] == ["fine"]
    assert blocked.stderr == ""


def test_the_library_reads_no_environment(crowd: Site) -> None:
    assert "fine" in crowd.host({"LATENTRY_PLUGINS": "", "LATENTRY_BLOCK": "fine"}).names["schedulers"]


def test_a_loose_plugin_on_the_command_line(sound: Site, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(scheduler("mine"))
    option = ("--plugin-dir", str(tmp_path / "mine.py"))
    for words in ((*option, "schedulers", "--json"), ("schedulers", "--json", "=".join(option))):
        records = json.loads(sound.latentry(*words, **ONLY).stdout)
        assert [record["qualified"] for record in records] == ["mine:mine", "latentry-sound:sound"]


def test_what_latentry_refuses_is_a_message_and_code_2(sound: Site) -> None:
    done = sound.latentry("schedulers", "--plugin-dir")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: --plugin-dir needs a value.\n  Give a .py file or a folder.\n"
    assert "Traceback" in sound.latentry("schedulers", "--plugin-dir", LATENTRY_DEBUG="1").stderr


LOADED = """
    import sys
    before = set(sys.modules)
    {code}
    print(*sorted(set(sys.modules) - before))
"""
LIST = "import contextlib, latentry._cli as c; s = contextlib.suppress(SystemExit)\n    with s: c.main(['{command}'])"
HEAVY = {"torch", "diffusers", "transformers", "pydantic", "numpy", "packaging"}


def modules(site: Site, code: str) -> list[str]:
    """What a piece of code imports beyond a bare Python, plugins' own modules left out."""
    names = site.python(LOADED.format(code=code), **ONLY).splitlines()[-1].split()
    return [name for name in names if not name.startswith("latentry_")]


def test_importing_latentry_imports_nothing_heavy(sound: Site) -> None:
    assert not HEAVY & set(modules(sound, "import latentry"))


@pytest.mark.parametrize("command", COMMANDS)
def test_listing_imports_nothing_heavy(sound: Site, command: str) -> None:
    imported = modules(sound, LIST.format(command=command))
    assert "latentry._cli._app" in imported
    assert sorted(HEAVY & set(imported)) == []


@pytest.mark.parametrize("arguments", ["generate --help", "convert --help", "plan show --help", "--help"])
def test_help_imports_no_torch(sound: Site, arguments: str) -> None:
    """The options of ``generate`` are the fields of a request, which need pydantic, and nothing that computes."""
    code = LIST.replace("['{command}']", repr(arguments.split()))
    imported = modules(sound, code)
    assert "latentry._cli._app" in imported
    assert sorted({"torch", "diffusers", "transformers"} & set(imported)) == []


def test_import_budget(sound: Site) -> None:
    """Counts, for they do not waver as times do; raise a bound only with a reason."""
    assert len(modules(sound, "import latentry")) < 150
    # importlib_metadata brings email and zipfile, which are two thirds of what the host adds
    assert len(modules(sound, "import latentry; latentry.PluginHost()")) < 220
    assert len(modules(sound, LIST.format(command="schedulers"))) < 330
