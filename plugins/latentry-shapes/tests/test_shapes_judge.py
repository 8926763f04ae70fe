"""The judge's table: right pictures pass, each fault counts in its own column, chance is low."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from latentry_shapes import judge as module
from latentry_shapes._detection import Detected, detect
from latentry_shapes._scoring import Score, compare
from latentry_shapes.drawing import draw
from latentry_shapes.judge import (
    DRAWINGS,
    GENERATED,
    RECONSTRUCTIONS,
    SHUFFLED,
    held_out_scenes,
    judge,
)
from latentry_shapes.painters import Painter
from latentry_shapes.scenes import HELD_OUT, Scene, Thing

Picture = Image.Image
ASKED = Scene("black", (Thing("red", "circle"), Thing("blue", "square")), "left of")


def detected(scene: Scene) -> Detected:
    return detect(Image.fromarray(draw(scene, random.Random(3))))


def drawing_painter(prompts: int, change: Callable[[Scene], Scene] = lambda scene: scene) -> Painter:
    """Draws the requested scene, or what ``change`` makes of it."""
    asked = {scene.caption(): scene for scene in held_out_scenes(prompts, 0)}

    def paint(captions: Sequence[str], seed: int) -> list[Picture]:
        rng = random.Random(seed)
        return [Image.fromarray(draw(change(asked[caption]), rng)) for caption in captions]

    return paint


@pytest.mark.parametrize(
    ("shown", "score"),
    [
        (ASKED, Score(True, True, True, True)),
        (replace(ASKED, background="gray"), Score(False, True, True, True)),
        (replace(ASKED, relation="right of"), Score(True, True, False, True)),
        (replace(ASKED, relation="above"), Score(True, True, False, True)),
        (
            replace(ASKED, things=(Thing("red", "square"), Thing("blue", "circle"))),
            Score(True, True, True, False),
        ),
        (
            replace(ASKED, things=(Thing("red", "circle"), Thing("cyan", "square"))),
            Score(True, False, False, False),
        ),
        (
            replace(ASKED, things=(Thing("red", "circle"), Thing("red", "square"))),
            Score(True, False, False, False),
        ),
        (Scene("black", (Thing("red", "circle"),)), Score(True, False, False, False)),
    ],
)
def test_each_fault_counts_in_its_column(shown: Scene, score: Score) -> None:
    assert compare(ASKED, detected(shown)) == score
    assert score.all == (shown == ASKED)


def test_an_extra_thing_is_a_fault() -> None:
    single = Scene("black", (Thing("red", "circle"),))
    assert compare(single, detected(single)) == Score(True, True, None, True)
    assert compare(single, detected(ASKED)) == Score(True, False, None, False)


def test_things_of_the_same_color_are_distinguished_by_shape() -> None:
    twins = Scene("white", (Thing("red", "square"), Thing("red", "circle")), "below")
    assert compare(twins, detected(twins)).all
    assert compare(twins, detected(replace(twins, relation="above"))) == Score(True, True, False, True)


def test_prompts_are_held_out_pairs_and_a_quarter_have_one_thing() -> None:
    scenes = held_out_scenes(200, 0)
    assert all(thing in HELD_OUT for scene in scenes for thing in scene.things)
    assert sum(len(scene.things) == 1 for scene in scenes) == 50
    assert scenes == held_out_scenes(200, 0)
    assert scenes != held_out_scenes(200, 1)


@pytest.mark.slow
def test_a_perfect_painter_reaches_every_bar_and_chance_is_low() -> None:
    report = judge(drawing_painter(200), list, prompts=200)
    assert report.missed() == []
    for row in (DRAWINGS, RECONSTRUCTIONS, GENERATED):
        assert min(share.percent for share in report.rows[row].values()) >= 99
    chance = report.rows[SHUFFLED]
    assert 20 < chance["background"].percent < 50
    assert max(chance[column].percent for column in ("colours", "relation", "shapes", "all")) < 10
    assert [share.of for share in report.rows[GENERATED].values()] == [200, 200, 150, 200, 200]


@pytest.mark.slow
def test_a_painter_that_swaps_left_and_right_misses_the_bar_for_relations() -> None:
    swapped = {"left of": "right of", "right of": "left of"}
    paint = drawing_painter(
        40, lambda scene: replace(scene, relation=swapped.get(scene.relation or "", scene.relation))
    )
    (missed,) = judge(paint, list, prompts=40).missed()
    assert missed.startswith("generated, relation:")


def test_reconstructions_are_judged_by_what_the_autoencoder_returns() -> None:
    def lose(pictures: Sequence[Picture]) -> list[Picture]:
        return [Image.new("RGB", (64, 64)) for _ in pictures]

    row = judge(drawing_painter(20), lose, prompts=20).rows[RECONSTRUCTIONS]
    assert row["colours"].right == row["all"].right == 0


def test_one_prompt_is_enough() -> None:
    assert judge(drawing_painter(1), list, prompts=1).rows[GENERATED]["all"].percent == 100


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like a model and whose pictures are drawings."""
    (tmp_path / "model_index.json").write_text("{}")
    monkeypatch.setattr(module, "engine_painter", lambda *args, **options: drawing_painter(24))
    monkeypatch.setattr(module, "reconstruction", lambda folder: list)
    return tmp_path


@pytest.mark.slow
def test_command_prints_a_table_and_writes_a_sheet(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet = model / "sheet.png"
    assert module.main(["--model", str(model), "--prompts", "24", "--sheet", str(sheet)]) == 0
    assert "24 held-out prompts" in capsys.readouterr().out
    with Image.open(sheet) as picture:
        assert picture.width > 4 * 64


@pytest.mark.slow
def test_command_prints_json(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert module.main(["--model", str(model), "--prompts", "24", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["missed"] == []
    assert data["rows"][GENERATED]["relation"] == {"right": 18, "of": 18, "percent": 100.0}


@pytest.mark.slow
def test_command_exits_with_1_below_a_bar(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = drawing_painter(24, lambda scene: replace(scene, background="gray"))
    monkeypatch.setattr(module, "engine_painter", lambda *args, **options: wrong)
    assert module.main(["--model", str(model), "--prompts", "24"]) == 1


def test_command_exits_with_2_without_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        module.main(["--model", str(tmp_path)])
    assert stop.value.code == 2
    assert "model_index.json" in capsys.readouterr().err
