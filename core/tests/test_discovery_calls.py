"""What a plugin's code raises names the plugin and the line; what is not its fault passes unchanged."""

from __future__ import annotations

import email
import subprocess
import sys
from datetime import date
from pathlib import Path
from timeit import timeit
from types import ModuleType

import pytest

from latentry import OptionError, PluginError, PluginHost, hookimpl
from latentry._discovery import host_callback, is_out_of_memory, plugin_call
from latentry._discovery._loading._hooks import HookSet

PLUGIN = """
from latentry import SchedulerSpec, hookimpl

@hookimpl
def latentry_schedulers():
    yield SchedulerSpec(name="mine", target="mine:Mine", summary="For a test.")

class Mine:
    def run(self, action):
        return self._run(action)

    def _run(self, action):
        if isinstance(action, BaseException):
            raise action  # line 14
        return action()
"""


class Stop(Exception):
    """A host's own way to cancel."""


@pytest.fixture
def host(tmp_path: Path) -> PluginHost:
    (tmp_path / "mine.py").write_text(PLUGIN)
    return PluginHost(load=(), plugin_dirs=[tmp_path / "mine.py"])


@pytest.mark.parametrize("by", ["object", "name"])
@pytest.mark.parametrize("error", [ValueError("bad"), SystemExit(3), StopIteration(), RuntimeError("CUDA error")])
def test_the_error_names_record_distribution_and_line(
    host: PluginHost, tmp_path: Path, by: str, error: BaseException
) -> None:
    mine = host.schedulers.create("mine")
    with pytest.raises(PluginError) as caught, plugin_call(mine) if by == "object" else host.schedulers.calling("mine"):
        mine.run(error)
    file = tmp_path / "mine.py"
    assert caught.value.what == f"The scheduler 'mine' of {file} failed."
    assert caught.value.why.startswith(type(error).__name__)
    assert f"({file}:14, in _run)" in caught.value.why
    assert caught.value.__cause__ is error


def test_the_line_is_the_plugins_also_where_a_library_raised(host: PluginHost, tmp_path: Path) -> None:
    mine = host.schedulers.create("mine")
    with pytest.raises(PluginError, match=r"mine\.py:15, in _run") as caught, plugin_call(mine):
        mine.run(lambda: __import__("json").loads("{"))
    assert "JSONDecodeError" in caught.value.why


@pytest.mark.parametrize(
    "error", [OptionError("The value is wrong."), KeyboardInterrupt(), GeneratorExit(), MemoryError("4 GB")]
)
def test_what_is_not_the_plugins_fault_passes(host: PluginHost, error: BaseException) -> None:
    mine = host.schedulers.create("mine")
    with pytest.raises(type(error)) as caught, plugin_call(mine):
        mine.run(error)
    assert caught.value is error


def test_what_a_callback_of_the_host_raises_passes(host: PluginHost) -> None:
    def cancel() -> None:
        raise Stop

    mine = host.schedulers.create("mine")
    with pytest.raises(Stop), plugin_call(mine):
        mine.run(host_callback(cancel))
    with pytest.raises(PluginError), plugin_call(mine):
        mine.run(cancel)


def test_torchs_failed_allocations_are_known_without_torch() -> None:
    import torch

    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60)
    assert is_out_of_memory(caught.value)
    assert not is_out_of_memory(RuntimeError("shape mismatch"))


def test_an_object_of_no_plugin_is_named_by_its_class() -> None:
    with pytest.raises(PluginError, match="The date of datetime failed"), plugin_call(date.today()):
        raise ValueError


def test_the_cores_records_are_found_by_their_class() -> None:
    from latentry import Karras

    with pytest.raises(PluginError, match="The sigma schedule 'karras' of latentry 0"), plugin_call(Karras()):
        raise ValueError


def test_it_costs_less_than_a_microsecond() -> None:
    call = plugin_call(object())

    def entered() -> None:
        with call:
            pass

    assert min(timeit(entered, number=1000) for _ in range(50)) < 1e-3


def test_it_needs_no_torch() -> None:
    code = "import sys, latentry._discovery; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_distributions_metadata_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice where importlib-metadata parses it to see whether it is valid; it was a fifth of every listing."""
    parsed: list[str] = []
    parse = email.message_from_string
    monkeypatch.setattr(email, "message_from_string", lambda text: parsed.append(text) or parse(text))
    distributions = PluginHost().distributions
    assert len(distributions) > 1
    assert len(parsed) <= 2 * len(distributions) + 1


def test_pluggy_sees_the_marked_functions_alone() -> None:
    module = ModuleType("mine")
    vars(module).update(latentry_schedulers=hookimpl(lambda: iter(())), helper=len)
    assert dir(HookSet(module)) == ["latentry_schedulers"]
