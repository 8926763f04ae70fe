"""What an engine keeps between requests besides models: opened checkpoints and plans."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.toy import write_toy

from latentry import Engine, GenerationRequest, ModelError, NotAllowed, PluginHost, Policy


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are read through ``Path``."""
    paths: list[Path] = []
    for name in ("open", "read_text", "read_bytes"):
        own = getattr(Path, name)

        def read(self: Path, *given: Any, _own: Any = own, **options: Any) -> Any:
            paths.append(self)
            return _own(self, *given, **options)

        monkeypatch.setattr(Path, name, read)
    return paths


def request(model: Path | str, **settings: Any) -> GenerationRequest:
    return GenerationRequest(prompt="a", model=str(model), **{"steps": 3, "seed": 1} | settings)


def test_a_second_request_reads_no_file_of_the_model(engine: Engine, model: str, opened: list[Path]) -> None:
    first = engine.generate(request(model))
    opened.clear()
    second = engine.generate(request(model, seed=2))
    assert [path for path in opened if path.is_relative_to(model)] == []
    assert second.recipes[0].model == first.recipes[0].model
    assert second.recipes[0].request == first.recipes[0].request.model_copy(update={"seed": 2})


def test_a_changed_file_is_read_again(engine: Engine, tmp_path: Path) -> None:
    """The process of the toy is in its file, and another process gives another plan."""
    folder = write_toy(tmp_path / "model", kind="vp")
    before = engine.prepare(request(folder))
    assert engine.prepare(request(folder)).checkpoint is before.checkpoint
    (folder / "toy.json").write_text(json.dumps({"kind": "flow"}))
    after = engine.prepare(request(folder))
    assert (before.checkpoint.noise.process.kind, after.checkpoint.noise.process.kind) == ("vp", "flow")
    assert after.plan != before.plan
    assert after.plan == Engine(engine.host).prepare(request(folder)).plan


def test_what_became_unsafe_or_is_gone_is_refused(engine: Engine, tmp_path: Path) -> None:
    folder = write_toy(tmp_path / "model")
    engine.prepare(request(folder))
    (folder / "toy.safetensors").write_bytes(b"damaged")
    with pytest.raises(ModelError, match="damaged"):
        engine.prepare(request(folder))
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    with pytest.raises(ModelError, match="no model"):
        engine.prepare(request(folder))


def test_a_policy_is_asked_about_a_model_that_was_opened_before(engine: Engine, model: str, tmp_path: Path) -> None:
    recipe = engine.generate(request(model)).recipes[0]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with pytest.raises(NotAllowed, match="may not be opened here"):
        engine.reproduce(recipe, policy=Policy(roots=(elsewhere,)))


def test_one_place_under_two_names_has_two_names(host: PluginHost, tmp_path: Path) -> None:
    folder, engine = write_toy(tmp_path / "model"), Engine(host)
    link = tmp_path / "link"
    link.symlink_to(folder)
    found = [engine.prepare(request(place)).located.name for place in (folder, link, folder)]
    fresh = [Engine(host).prepare(request(place)).located.name for place in (folder, link, folder)]
    assert found == fresh


def test_equal_plans_are_one_and_record_one_table(engine: Engine, model: str) -> None:
    plan = engine.prepare(request(model)).plan
    assert engine.prepare(request(model, seed=9, guidance=3.0)).plan is plan
    for other in ({"steps": 4}, {"scheduler": "noisy"}):
        assert engine.prepare(request(model, **other)).plan is not plan
    assert engine.prepare(request(model)).plan.recording is plan.recording
