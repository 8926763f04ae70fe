"""The shipped ControlNet draws along outlines that it never saw, and training one is a run of the same tools."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latentry import PluginHost
from latentry.testing import ControlSuite
from latentry_shapes.control_judge import held_out_pairs, judge, main, overlap
from latentry_shapes.control_training import main as train
from latentry_shapes.control_training import train_control
from latentry_shapes.drawing import draw_with_outline
from latentry_shapes.scenes import Scene, Thing


class TestControl(ControlSuite):
    control = "shapes-control"


class TestAdapter(ControlSuite):
    control = "shapes-adapter"


@pytest.mark.parametrize(
    ("name", "most"), [("shapes-control", 3e6), ("shapes-flux-control", 3e6), ("shapes-adapter", 1.5e6)]
)
def test_what_ships_is_small(name: str, most: float) -> None:
    host = PluginHost()
    if name not in host.controls:
        pytest.skip("its distribution is not installed")
    folder = Path(host.controls.load(name)())
    assert sum(file.stat().st_size for file in folder.iterdir()) < most


def test_an_outline_lies_along_the_edge_of_what_is_drawn() -> None:
    picture, outline = draw_with_outline(Scene("black", (Thing("red", "square"),)), random.Random(1))
    inside = picture[..., 0] > 128
    edge = inside ^ (np.roll(inside, 1, 0) & np.roll(inside, -1, 0) & np.roll(inside, 1, 1) & np.roll(inside, -1, 1))
    assert (outline[edge & inside] > 50).all()
    assert outline[~inside].sum() < 3 * outline[inside].sum()
    assert (outline == 0).mean() > 0.8


def test_the_overlap_of_drawings_with_themselves_and_with_others() -> None:
    first, second = held_out_pairs(2, seed=5)
    assert overlap(first.drawing, first.drawing) == 1.0
    assert overlap(first.drawing, second.drawing) < 0.6


@pytest.mark.slow
def test_what_ships_follows_outlines_and_the_model_alone_does_not() -> None:
    pairs = held_out_pairs(6, seed=21)
    for control in ("shapes-control", "shapes-adapter"):
        assert judge("shapes", control, pairs, steps=12).overlap > 0.85
    assert judge("shapes", None, pairs, steps=12).overlap < 0.7


@pytest.mark.slow
@pytest.mark.parametrize(("adapter", "file"), [(False, "control-shapes.pt"), (True, "adapter-shapes.pt")])
def test_training_goes_on_from_its_checkpoint(tmp_path: Path, adapter: bool, file: str) -> None:
    from latentry_shapes._shipped import folder_of

    how: dict[str, Any] = {"batch": 2, "count": 8, "seed": 1, "every": 1, "adapter": adapter}
    whole = train_control(tmp_path, "shapes", folder_of("shapes"), steps=2, **how)
    assert whole.training is False
    before = {name: weight.clone() for name, weight in whole.state_dict().items()}
    again = train_control(tmp_path, "shapes", folder_of("shapes"), steps=2, **how)
    assert all((weight == before[name]).all() for name, weight in again.state_dict().items())
    assert (tmp_path / file).is_file()


def test_only_some_models_have_an_adapter_to_train(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        train(["--out", "nowhere", "--model", "shapes-flux", "--adapter"])
    assert "--adapter is for shapes, not for shapes-flux" in capsys.readouterr().err


def test_the_judge_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    assert "outlines" in capsys.readouterr().out
