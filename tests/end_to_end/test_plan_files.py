"""``latentry plan``, and pictures made with ``--plan``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.commandline import CommandLine

from latentry import PluginHost, read_recipe
from latentry.tables import PlanFile

HOST = PluginHost()


def pixels(path: Path) -> np.ndarray[Any, Any]:
    with Image.open(path) as picture:
        return np.asarray(picture)


@pytest.mark.parametrize(
    ("family", "scheduler"), [("sd", "unipc"), ("sd3", "dpmpp-2m"), ("sdxl", "euler-ancestral"), ("flux", "heun")]
)
def test_an_exported_plan_draws_the_same_picture_and_is_in_the_recipe(
    latentry: CommandLine, families: Mapping[str, Path], tmp_path: Path, family: str, scheduler: str
) -> None:
    model = ["--model", families[family]]
    named = ["--steps", 3, "--width", 64, "--height", 64]
    done = latentry("plan", "export", scheduler, *model, *named, "--output", "plan.json", folder=tmp_path)
    assert (done.code, done.out, done.err) == (0, "", "")
    drawing = ["generate", "a circle", *model, "--width", 64, "--height", 64, "--seed", 5, "--quiet", "--output"]
    followed = latentry(*drawing, "plan.png", "--plan", "plan.json", folder=tmp_path)
    assert followed.code == 0, followed.err
    usual = latentry(*drawing, "named.png", "--steps", 3, "--scheduler", scheduler, folder=tmp_path)
    assert usual.code == 0, usual.err
    assert np.array_equal(pixels(tmp_path / "plan.png"), pixels(tmp_path / "named.png"))
    recipe = read_recipe(tmp_path / "plan.png")
    assert recipe.plan == PlanFile.from_json((tmp_path / "plan.json").read_text()).digest
    assert recipe.request.steps == 3
    assert "scheduler" not in recipe.plugins
    again = latentry("generate", "--from", "plan.png", "--trust", "--output", "again.png", folder=tmp_path)
    assert again.code == 0, again.err
    assert np.array_equal(pixels(tmp_path / "plan.png"), pixels(tmp_path / "again.png"))


def test_a_picture_is_not_made_again_from_another_plan(
    latentry: CommandLine, families: Mapping[str, Path], tmp_path: Path
) -> None:
    export = ["plan", "export", "ddim", "--model", families["sd"], "--output", "plan.json", "--overwrite", "--steps"]
    assert latentry(*export, 2, folder=tmp_path).code == 0
    drawing = ["generate", "a circle", "--model", families["sd"], "--plan", "plan.json", "--output", "a.png"]
    assert latentry(*drawing, folder=tmp_path).code == 0
    assert latentry(*export, 3, folder=tmp_path).code == 0
    refused = latentry("generate", "--from", "a.png", "--trust", folder=tmp_path)
    assert refused.code != 0
    assert "The plan file has 3 steps, not 2." in refused.err
    assert latentry(*export, 2, "--sigmas", "karras", folder=tmp_path).code == 0
    refused = latentry("generate", "--from", "a.png", "--trust", folder=tmp_path)
    assert refused.code != 0
    assert "is not the one that the picture was made with" in refused.err
    # a stranger's recipe cannot have files opened from anywhere
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    refused = latentry("generate", "--from", tmp_path / "a.png", "--model", families["sd"], folder=elsewhere)
    assert "may not be opened here" in refused.err
    assert "--plan" in refused.err


def refusals(families: Mapping[str, Path]) -> Mapping[str, tuple[list[Any], str]]:
    sd = ["--model", families["sd"]]
    return {
        "no such file": ([*sd, "--plan", "nothing.json"], "There is no plan file"),
        "not a plan": ([*sd, "--plan", "other.json"], "is not a plan file that this version can read"),
        "a scheduler beside it": ([*sd, "--plan", "plan.json", "--scheduler", "ddim"], "The plan file decides it."),
        "sigmas beside it": ([*sd, "--plan", "plan.json", "--sigmas", "karras"], "The plan file decides it."),
        "steps": ([*sd, "--plan", "plan.json", "--steps", 4], "The plan file has 2 steps, not 4."),
        "strength": (
            [*sd, "--plan", "plan.json", "--init-image", "start.png", "--strength", 0.5],
            "cannot be used with a strength below 1",
        ),
        "another process": (["--model", families["sd3"], "--plan", "plan.json"], "made for another kind of model"),
    }


@pytest.mark.parametrize("which", refusals(dict.fromkeys(("sd", "sd3"), Path())))
def test_a_plan_that_does_not_fit_is_refused(
    latentry: CommandLine, families: Mapping[str, Path], tmp_path: Path, which: str
) -> None:
    options, why = refusals(families)[which]
    (tmp_path / "other.json").write_text("{}")
    Image.new("RGB", (64, 64)).save(tmp_path / "start.png")
    export = ["plan", "export", "ddim", "--model", families["sd"], "--steps", 2, "--output", "plan.json"]
    assert latentry(*export, folder=tmp_path).code == 0
    done = latentry("generate", "a circle", *options, "--output", "a.png", folder=tmp_path)
    assert done.code != 0
    assert why in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "a.png").exists()


def test_a_plan_is_shown_without_a_model(latentry: CommandLine, tmp_path: Path) -> None:
    done = latentry("plan", "show", "ddim", "--steps", 2, "--process", "flow", "--sigmas", "1,0.5", folder=tmp_path)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == "2 steps, 2 evaluations; flow, flow_prediction"
    assert lines[1:5] == [
        "step 1: σ/α ∞ to 1",
        "  out0.0 = network(x0, t = 1000)",
        "  row0.0 = x0 − 0.5·out0.0",
        "  x1 = row0.0",
    ]


def test_an_exported_plan_says_what_made_it(latentry: CommandLine, tmp_path: Path) -> None:
    done = latentry(
        "plan", "export", "DPM++ 2M Karras", "--steps", 3, "--set", "lower_order_final=true", folder=tmp_path
    )
    assert done.code == 0, done.err
    made_by = json.loads(done.out)["made_by"]
    assert made_by["scheduler"] == "latentry-dpmpp:dpmpp-2m"
    assert made_by["scheduler_options"]["lower_order_final"] is True
    assert made_by["sigmas"] == "latentry:karras"
    assert made_by["versions"]["latentry-dpmpp"] == HOST.schedulers.provenance("dpmpp-2m").version


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["unipc", "--set", "threshold=0.9"], "cannot be written as numbers"),
        (["ddim", "--width", 64], "no effect without a model"),
        (["ddim", "--process", "vp", "--model", "nowhere"], "no effect with --model"),
        (["nobody"], "nobody"),
        (["ddim", "--set", "eta=5"], "eta"),
    ],
)
def test_a_plan_that_cannot_be_shown_says_why(
    latentry: CommandLine, tmp_path: Path, options: list[Any], why: str
) -> None:
    done = latentry("plan", "show", *options, folder=tmp_path)
    assert done.code != 0
    assert why in done.err
    assert "Traceback" not in done.err


def test_an_export_writes_over_nothing_unasked(latentry: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text("mine")
    done = latentry("plan", "export", "ddim", "--output", "mine.json", folder=tmp_path)
    assert done.code != 0
    assert "mine.json exists" in done.err
    assert (tmp_path / "mine.json").read_text() == "mine"
