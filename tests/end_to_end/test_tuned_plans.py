"""``--plan tuned``: the tuned plans that came with a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.commandline import CommandLine
from support.toy import PLUGIN, write_toy
from torch import Tensor

from latentry import Engine, GenerationRequest, PluginHost, read_recipe
from latentry.tables import MadeFor, PlanFile, Table

SHELF = """
from pathlib import Path
from latentry import CheckpointSpec, hookimpl

@hookimpl
def latentry_checkpoints():
    yield CheckpointSpec(
        name="shelved", target="shelf:model", summary="A toy.", family="{family}", variant="{variant}", size=8,
        licence="Apache-2.0", guidance=2.0, plans="shelf:plans",
    )

def model():
    return Path(__file__).parent / "model"

def plans():
    return Path(__file__).parent / "plans"
"""


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A loose plugin with a model and three plans: of 3 steps for two ranges of guidance, and of 4."""
    model, host = write_toy(tmp_path / "model"), PluginHost(plugin_dirs=[PLUGIN])
    (tmp_path / "plans").mkdir()
    for steps, guidance in ((3, (1.0, 4.0)), (3, (3.0, 12.0)), (4, (1.0, 4.0))):
        wanted = "euler" if guidance[0] == 1.0 else "ddim"
        options = {"sigmas": (9.0, 2.0, 0.5)} if wanted == "ddim" else {"steps": steps}
        request = GenerationRequest(prompt="red", model=str(model), scheduler=wanted, **options)
        setup = Engine(host).prepare(request)
        table = setup.plan.table()
        assert isinstance(table, Table)
        key = MadeFor(model=setup.located.fingerprint, guidance=guidance)
        text = PlanFile(table, {"model": "shelved"}, key).to_json()
        (tmp_path / "plans" / f"{steps}-{guidance[0]:g}.json").write_text(text)
    (tmp_path / "shelf.py").write_text(
        SHELF.replace("{family}", setup.located.family).replace("{variant}", setup.located.variant.name)
    )
    return tmp_path / "shelf.py"


def test_the_plan_that_suits_is_taken_and_is_in_the_recipe(latentry: CommandLine, shelf: Path, tmp_path: Path) -> None:
    plugins = ("--plugin-dir", PLUGIN, "--plugin-dir", shelf)
    drawing = ("generate", "red", "--model", "shelved", "--seed", 1, "--quiet", *plugins, "--output")

    def drawn(name: str, *options: object) -> str:
        done = latentry(*drawing, name, *options, folder=tmp_path)
        assert done.code == 0, done.err
        return read_recipe(tmp_path / name).plan

    digests = {file.stem: PlanFile.from_json(file.read_text()).digest for file in (tmp_path / "plans").iterdir()}
    assert drawn("most.png", "--plan", "tuned") == digests["4-1"]
    assert drawn("three.png", "--plan", "tuned", "--steps", 3) == digests["3-1"]
    assert drawn("strong.png", "--plan", "tuned", "--steps", 3, "--guidance", 8) == digests["3-3"]
    assert drawn("nearest.png", "--plan", "tuned", "--steps", 3, "--guidance", 3.9) == digests["3-3"]
    assert read_recipe(tmp_path / "three.png").request.plan == "tuned"
    again = latentry("generate", "--from", "three.png", "--output", "again.png", *plugins, folder=tmp_path)
    assert again.code == 0, again.err
    with Image.open(tmp_path / "three.png") as first, Image.open(tmp_path / "again.png") as second:
        assert np.array_equal(np.asarray(first), np.asarray(second))

    refused = latentry(*drawing, "none.png", "--plan", "tuned", "--steps", 7, folder=tmp_path)
    assert refused.code != 0
    assert "no tuned plan for 7 steps" in refused.err
    assert "4 steps at 1 to 4" in refused.err
    default = latentry(*drawing, "default.png", "--steps", 3, folder=tmp_path)
    assert default.code == 0
    assert read_recipe(tmp_path / "default.png").plan == ""  # tuned plans are for those who ask


@pytest.mark.slow
@pytest.mark.parametrize("model", ["shapes", "shapes-sdxl", "shapes-sd3", "shapes-flux"])
def test_the_shipped_plans_come_nearer_than_the_default_on_noises_of_another_seed(model: str) -> None:
    engine = Engine(PluginHost())
    prompts = ("a yellow ring on a gray background", "an orange cross above a green triangle on a white background")
    request = GenerationRequest(prompt=prompts, count=4, model=model, seed=77, batch=8)

    def drawn(**options: Any) -> Tensor:
        return engine.generate(request.model_copy(update=options)).latents

    exact = drawn(scheduler="unipc", scheduler_options={"order": 3}, steps=40)
    for steps in (5, 8):
        tuned, default = (
            (drawn(steps=steps, **options) - exact).flatten(1).square().mean(1).sqrt()
            for options in ({"plan": "tuned"}, {"scheduler": "unipc"})
        )
        print(f"\n{steps} steps: tuned {tuned.mean():.3f}, unipc {default.mean():.3f}")
        assert (tuned / default).log().mean() < 0.0
        assert tuned.mean() < default.mean()


def test_a_model_without_plans_says_so(latentry: CommandLine, tmp_path: Path) -> None:
    model = write_toy(tmp_path / "model")
    done = latentry("generate", "red", "--model", model, "--plan", "tuned", "--plugin-dir", PLUGIN, folder=tmp_path)
    assert done.code != 0
    assert "It has none" in done.err
    assert "latentry tune" in done.err
