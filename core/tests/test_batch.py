"""A batch has each line once, whatever is killed when, and an executor's faults are told."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.toy import PLUGIN, toy_host, write_toy

from latentry import GenerationRequest, OptionError, PluginError, PluginHost, read_recipe
from latentry.batches import BatchFolder, BatchSettings, DrawnLine, Line, draw_line, read_prompts, run_batch
from latentry.testing import ExecutorSuite

Fields = dict[str, Any]


class TestLocal(ExecutorSuite):
    executor = "local"


@pytest.fixture
def common(tmp_path: Path) -> Fields:
    """Fields of all lines: a model that takes no time."""
    return {"model": str(write_toy(tmp_path / "models" / "toy")), "steps": 2}


@pytest.fixture
def settings() -> BatchSettings:
    return BatchSettings(load=("latentry",), plugin_dirs=(PLUGIN,))


def drawn_into(folder: Path, prompts: Sequence[Any], common: Fields, settings: BatchSettings, **more: Any) -> int:
    return run_batch(toy_host(), BatchFolder(folder, seed=1, **more), prompts, common, settings=settings)


def entries(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()[1:]]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_each_line_is_drawn_as_if_alone(tmp_path: Path, common: Fields, settings: BatchSettings) -> None:
    prompts = [{"prompt": "a"}, {"prompt": "b", "seed": 5, "count": 2}, {"prompt": "c", "steps": 3}]
    assert drawn_into(tmp_path / "out", prompts, common, settings) == 0
    found = entries(tmp_path / "out")
    assert [entry["line"] for entry in found] == [1, 2, 3]
    assert found[1]["pictures"] == ["000002-000.png", "000002-001.png"]
    engine = settings.engine()
    for entry in found:
        for name in entry["pictures"]:
            recipe = read_recipe(tmp_path / "out" / name)
            alone = engine.generate(recipe.request)
            assert (
                recipe.embed(alone.images[recipe.index], parameters=alone.parameters(recipe))
                == (tmp_path / "out" / name).read_bytes()
            )
    assert read_recipe(tmp_path / "out" / "000002-001.png").request.seed == 5
    assert len({entry["recipes"][0]["request"]["seed"] for entry in found}) == 3


def test_a_faulty_line_is_told_and_keeps_none_from_being_drawn(
    tmp_path: Path, common: Fields, settings: BatchSettings
) -> None:
    prompts = [{"prompt": "a"}, {"prompt": "b", "scheduler": "nothing"}, {"prompt": "c", "steps": 0}, {"prompt": "d"}]
    assert drawn_into(tmp_path / "out", prompts, common, settings) == 2
    found = entries(tmp_path / "out")
    assert [entry["error"] and entry["error"]["code"] for entry in found] == [None, "unknown_name", "option", None]
    corrected = [prompts[0], {"prompt": "b"}, {"prompt": "c", "steps": 1}, prompts[3]]
    before = (tmp_path / "out" / "000001.png").stat().st_mtime_ns
    assert drawn_into(tmp_path / "out", corrected, common, settings, resume=True) == 0
    assert [entry["error"] for entry in entries(tmp_path / "out")] == [None] * 4
    assert (tmp_path / "out" / "000001.png").stat().st_mtime_ns == before


def test_what_changed_or_is_gone_is_drawn_again(tmp_path: Path, common: Fields, settings: BatchSettings) -> None:
    out = tmp_path / "out"
    drawn_into(out, [{"prompt": "a"}, {"prompt": "b"}, {"prompt": "c"}], common, settings)
    (out / "000003.png").unlink()
    drawn_into(out, [{"prompt": "a"}, {"prompt": "other"}, {"prompt": "c"}], common, settings, resume=True)
    assert [read_recipe(out / f"00000{n}.png").request.prompt for n in (1, 2, 3)] == ["a", "other", "c"]


def test_a_manifest_that_ends_in_half_a_line_is_read(tmp_path: Path, common: Fields, settings: BatchSettings) -> None:
    out = tmp_path / "out"
    prompts = [{"prompt": "a"}, {"prompt": "b"}]
    drawn_into(out, prompts, common, settings)
    whole = contents(out)
    text = (out / "manifest.jsonl").read_bytes()
    for cut in (len(text) - 3, text.index(b"\n") + 20, 5):
        (out / "manifest.jsonl").write_bytes(text[:cut])
        drawn_into(out, prompts, common, settings, resume=True)
        assert contents(out) == whole


def test_a_folder_is_not_written_over_by_mistake(tmp_path: Path, common: Fields, settings: BatchSettings) -> None:
    drawn_into(tmp_path / "out", [{"prompt": "a"}], common, settings)
    with pytest.raises(OptionError, match="already holds a batch"):
        BatchFolder(tmp_path / "out")
    with pytest.raises(OptionError, match="begun with the seed 1"):
        BatchFolder(tmp_path / "out", resume=True, seed=2)
    assert BatchFolder(tmp_path / "out", resume=True).seed == 1


def test_what_was_measured_stands_beside_the_request_it_was_measured_of(
    tmp_path: Path, common: Fields, settings: BatchSettings
) -> None:
    out = tmp_path / "out"
    folder = BatchFolder(out, seed=1)
    (line,) = folder.lines([{"prompt": "a"}], common)
    assert folder.entry(line) is None
    folder.write(line, replace(draw_line(settings.engine(), line), figures={"seconds": 2.0}), ".png")
    entry = BatchFolder(out, resume=True).entry(line)
    assert entry is not None
    assert entry["figures"] == {"seconds": 2.0}
    assert folder.entry(Line(1, {**line.fields, "prompt": "b"})) is None


class Doubling:
    """Gives each line back twice."""

    def run(self, lines: Sequence[Line], settings: BatchSettings) -> Iterator[DrawnLine]:
        for line in (*lines, *lines):
            yield DrawnLine(line.number)


class Losing:
    """Gives the first line back alone."""

    def run(self, lines: Sequence[Line], settings: BatchSettings) -> Iterator[DrawnLine]:
        yield DrawnLine(lines[0].number)


@pytest.mark.parametrize(("executor", "words"), [(Doubling, "was not waiting"), (Losing, "left out the line 2")])
def test_an_executor_that_doubles_or_loses_lines_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executor: type, words: str
) -> None:
    host = PluginHost(load=("latentry",))
    monkeypatch.setattr(host.executors, "create", lambda name: executor())
    with pytest.raises(PluginError, match=words):
        run_batch(host, BatchFolder(tmp_path / "out"), [{"prompt": "a"}, {"prompt": "b"}], {})


def test_lines_are_drawn_one_at_a_time_too(common: Fields, settings: BatchSettings) -> None:
    engine = settings.engine()
    drawn = draw_line(engine, Line(1, {"prompt": "a", "seed": 3, **common}))
    alone = engine.generate(GenerationRequest(prompt="a", seed=3, **common))
    assert drawn.files == (alone.recipes[0].embed(alone.images[0], parameters=alone.parameters(alone.recipes[0])),)
    assert draw_line(engine, Line(2, {"prompt": "a", "nothing": 1})).error is not None


def test_prompts_are_read_from_text_and_json(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text('a red circle\n\n# a remark\n{"prompt": "b", "steps": 3}\n')
    assert read_prompts(str(path)) == [{"prompt": "a red circle"}, {"prompt": "b", "steps": 3}]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="processes are killed by a signal")
def test_a_batch_that_is_killed_anywhere_ends_as_if_nothing_had_been(
    tmp_path: Path, common: Fields, settings: BatchSettings
) -> None:
    """Twice it is killed after a number of lines that is drawn by seed; then it runs to its end."""
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("".join(f"prompt {number}\n" for number in range(40)))
    drawn_into(tmp_path / "whole", read_prompts(str(prompts)), {**common, "steps": 25}, settings)
    out, chance = tmp_path / "out", random.Random(4)
    options = ["--model", common["model"], "--steps", "25", "--seed", "1", "--plugin-dir", str(PLUGIN), "--quiet"]
    command = [sys.executable, "-m", "latentry", "batch", str(prompts), "--output", str(out), *options]
    environment = {**os.environ, "PYTHONPATH": str(PLUGIN.parents[2]), "LATENTRY_PLUGINS": "latentry"}
    finished = 0
    for attempt in range(3):
        resume = ["--resume"] if attempt else []
        with subprocess.Popen([*command, *resume], env=environment) as process:
            wanted = finished + chance.randrange(1, 12)
            while attempt < 2 and process.poll() is None:
                finished = len(entries(out)) if (out / "manifest.jsonl").exists() else 0
                if finished >= wanted:
                    process.send_signal(signal.SIGKILL)
                    break
                time.sleep(0.002)
        assert process.returncode == (0 if attempt == 2 else -signal.SIGKILL)
    assert {name: data for name, data in contents(out).items() if not name.startswith(".")} == contents(
        tmp_path / "whole"
    )
