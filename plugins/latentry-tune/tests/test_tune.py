"""``latentry tune``: from a model to a plan that is used for it and for nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.commandline import Done, fresh
from support.toy import PLUGIN, write_toy

from latentry.tables import PlanFile
from latentry.testing import CommandSuite

PROMPTS = "red\n# not a prompt\nblue\ngreen\nwhite\n"
FEW = ("--rows", 6, "--judging", 6, "--steps", 3, "--plugin-dir", PLUGIN)


class TestTune(CommandSuite):
    command = "tune"


def run(folder: Path, *arguments: object) -> Done:
    return fresh(*arguments, folder=folder)


@pytest.mark.slow
def test_a_tuned_plan_is_for_its_model_and_guidance(tmp_path: Path) -> None:
    model, other = write_toy(tmp_path / "model"), write_toy(tmp_path / "other", pale=0.5)
    (tmp_path / "prompts.txt").write_text(PROMPTS)
    tuning = ("tune", "--model", model, "--prompts", "prompts.txt", "--guidance", 2, "--output", "plan.json", *FEW)
    done = run(tmp_path, *tuning)
    assert done.code == 0, done.err
    assert "plan.json is written" in done.out
    assert "minutes here" in done.err
    assert "may not suit others" in done.err
    assert not (tmp_path / "plan.stages").exists()
    file = PlanFile.from_json((tmp_path / "plan.json").read_text())
    assert file.made_for is not None
    assert file.made_for.guidance == (1.0, 4.0)
    assert file.made_by["error"]["ratio"] < 1.0
    assert run(tmp_path, *tuning).code != 0  # it exists

    drawing = ("generate", "red", "--plan", "plan.json", "--plugin-dir", PLUGIN, "--seed", 1, "--output")
    used = run(tmp_path, *drawing, "used.png", "--model", model, "--guidance", 2)
    assert used.code == 0, used.err
    assert "tuned for" not in used.out + used.err
    outside = run(tmp_path, *drawing, "outside.png", "--model", model, "--guidance", 6)
    assert outside.code == 0, outside.err
    assert "tuned for a guidance from 1 to 4" in outside.out + outside.err
    refused = run(tmp_path, *drawing, "refused.png", "--model", other, "--guidance", 2)
    assert refused.code != 0
    assert "tuned for another model" in refused.err


@pytest.mark.slow
def test_the_estimate_and_what_is_missing(tmp_path: Path) -> None:
    model = write_toy(tmp_path / "model")
    estimated = run(tmp_path, "tune", "red", "--model", model, "--estimate", *FEW)
    assert (estimated.code, estimated.out) == (0, "")
    assert "evaluations of one picture" in estimated.err
    missing = run(tmp_path, "tune", "--model", model, *FEW)
    assert missing.code != 0
    assert "needs prompts" in missing.err
    assert list(tmp_path.iterdir()) == [model]
    (tmp_path / "prompts.jsonl").write_text('red\n# not one\n{"prompt": "blue", "steps": 4}\n')
    further = run(tmp_path, "tune", "--model", model, "--prompts", "prompts.jsonl", "--estimate", *FEW)
    assert further.code != 0
    assert "a line gives 'steps'" in further.err
