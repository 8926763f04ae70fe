"""A comparison on a model whose converged results are known in closed form."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from support.toy import PLUGIN, write_toy
from torch import Tensor

from latentry import Engine, LatentryError, OptionError, PluginHost, read_recipe
from latentry.testing import CommandSuite
from latentry_compare import Axes, Comparison, Reference, Report, compare
from latentry_compare._reference import distance

STD = 0.3
"""Of the data around the toy's colour."""
LAST_STEP = 1e-3
"""What the first-order step from the lowest level to σ = 0 leaves of the way to the exact solution."""


class TestCompare(CommandSuite):
    command = "compare"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(PluginHost(load=("latentry", "latentry-unipc"), plugin_dirs=[PLUGIN]))


@pytest.fixture
def common(tmp_path: Path) -> dict[str, Any]:
    return {"model": str(write_toy(tmp_path / "toy"))}


def comparison(common: Mapping[str, Any], reference: int = 32, **axes: Any) -> Comparison:
    axes = {"prompts": [{"prompt": "red"}], "schedulers": ["unipc", "first"], "steps": [4, 16], "seeds": (3, 4)} | axes
    return Comparison(axes=Axes(**axes), common=common, reference=Reference("unipc", reference) if reference else None)


def exact(engine: Engine, compared: Comparison, scale: float, seed: int) -> Tensor:
    """Where the probability flow of the toy ends: guidance moves the mean of its Gaussian."""
    from latentry.batches import Line, request_of

    fields = {**compared.common, "prompt": "red", "seed": seed, "guidance": scale, "scheduler": "unipc", "steps": 8}
    setup = engine.prepare(request_of(Line(1, fields)))
    colours = [engine.load(setup).encode_prompt([text], None)["colour"] for text in ("red", "")]  # type: ignore[arg-type]
    mean = colours[1] + scale * (colours[0] - colours[1])
    with engine.network(setup) as network:
        x = network.noise([0]) * setup.plan.noise_scale()
    first = setup.plan.points[0]
    return mean + STD * (x - first.alpha * mean) / (first.alpha**2 * STD**2 + first.sigma**2) ** 0.5


def test_distances_are_those_to_the_exact_solution(engine: Engine, tmp_path: Path) -> None:
    flow = {"model": str(write_toy(tmp_path / "flow", kind="flow"))}  # its runs go down to σ = 0 in many steps
    compared = comparison(flow, 64, guidance=[1.0, 3.0], schedulers=["first"], seeds=(3,))
    report = compare(engine, compared, tmp_path / "out")
    assert [(row.guidance, row.steps) for row in report.rows] == [(1.0, 4), (3.0, 4), (1.0, 16), (3.0, 16)]
    for number, reference in enumerate(report.references):
        truth = exact(engine, compared, reference.guidance, 3)
        kept = load_file(tmp_path / "out" / "reference" / f"{number + 1:06d}.safetensors")["latents"]
        assert distance(kept, truth) < LAST_STEP
        for row in (row for row in report.rows if row.guidance == reference.guidance):
            drawn = engine.generate(read_recipe(tmp_path / "out" / row.pictures[0].file).request).latents
            assert row.pictures[0].distance == pytest.approx(distance(drawn, truth), abs=LAST_STEP)


def test_what_is_measured(engine: Engine, common: dict[str, Any], tmp_path: Path) -> None:
    report = compare(engine, comparison(common, schedulers=["unipc", "two-stage", "noisy"]), tmp_path / "out")
    rows = {(row.scheduler, row.steps): row for row in report.rows}
    assert list(rows) == [(name, steps) for name in ("unipc", "two-stage", "noisy") for steps in (4, 16)]
    assert rows["unipc", 4].evaluations == 4
    assert rows["two-stage", 4].evaluations == 8
    for name in ("unipc", "two-stage"):
        few, many = (rows[name, steps].distance for steps in (4, 16))
        assert few is not None and many is not None and many < few / 2
    assert rows["noisy", 4].distance is None
    assert rows["noisy", 4].elsewhere == "draws noise of its own"
    for row in report.rows:
        assert row.seconds is not None and row.seconds > 0.0
        distances = [picture.distance for picture in row.pictures if picture.distance is not None]
        assert row.worst == max(distances, default=None)
    kept = [path.name for path in (tmp_path / "out").glob("*.png")]
    assert sorted(kept) == [f"{number:06d}.png" for number in range(1, 15)]


def drawn(folder: Path) -> dict[str, int]:
    """When each picture was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.png")}


def seen(report: Report) -> list[Any]:
    """All but the times."""
    return [(row.scheduler, row.steps, row.distance, row.evaluations) for row in (*report.references, *report.rows)]


def test_what_is_there_is_not_drawn_again(engine: Engine, common: dict[str, Any], tmp_path: Path) -> None:
    out, compared = tmp_path / "out", comparison(common)
    first = compare(engine, compared, out)
    before = drawn(out)
    with pytest.raises(OptionError, match="already holds a batch"):
        compare(engine, compared, out)
    assert compare(engine, compared, out, resume=True).to_json() == first.to_json()
    assert drawn(out) == before

    (out / "000004.png").unlink()
    (out / "reference" / "000001.safetensors").unlink()
    assert seen(compare(engine, compared, out, resume=True)) == seen(first)
    assert {name for name, when in drawn(out).items() if when != before[name]} == {"000001.png", "000004.png"}


def test_an_interrupted_comparison_ends_as_one_that_was_not(
    engine: Engine, common: dict[str, Any], tmp_path: Path
) -> None:
    def interrupting(done: int, total: int, words: str) -> None:
        if done == 6:
            raise KeyboardInterrupt

    compared = comparison(common)
    with pytest.raises(KeyboardInterrupt):
        compare(engine, compared, tmp_path / "out", told=interrupting)
    before = drawn(tmp_path / "out")
    assert len(before) == 6
    report = compare(engine, compared, tmp_path / "out", resume=True)
    assert before.items() <= drawn(tmp_path / "out").items()
    assert seen(report) == seen(compare(engine, compared, tmp_path / "other"))


def test_other_references_measure_again(engine: Engine, common: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "out"
    compare(engine, comparison(common, reference=8), out)
    again = compare(engine, comparison(common, reference=16), out, resume=True)
    assert seen(again) == seen(compare(engine, comparison(common, reference=16), tmp_path / "other"))


def test_without_references_nothing_is_held_against_them(
    engine: Engine, common: dict[str, Any], tmp_path: Path
) -> None:
    report = compare(engine, comparison(common, reference=0), tmp_path / "out")
    assert report.references == ()
    assert {row.distance for row in report.rows} == {None}
    assert not (tmp_path / "out" / "reference").exists()


def test_several_prompts_have_their_own_references(engine: Engine, common: dict[str, Any], tmp_path: Path) -> None:
    prompts = [{"prompt": "red"}, {"prompt": "blue", "negative": "green"}]
    report = compare(engine, comparison(common, prompts=prompts, schedulers=["unipc"], steps=[4]), tmp_path / "out")
    assert report.subjects == ((0, 3), (0, 4), (1, 3), (1, 4))
    requests = [read_recipe(tmp_path / "out" / picture.file).request for picture in report.rows[0].pictures]
    assert [(request.prompt, request.negative, request.seed) for request in requests] == [
        ("red", "", 3),
        ("red", "", 4),
        ("blue", "green", 3),
        ("blue", "green", 4),
    ]


IDLE: Sequence[tuple[dict[str, Any], str]] = [
    ({"sigmas": ["karras", "karras"]}, "sigmas: karras is given twice"),
    ({"sigmas": ["trailing", "latentry:trailing"]}, "sigmas: trailing and latentry:trailing draw the same pictures"),
    ({"schedulers": ["unipc", "latentry-unipc:unipc"]}, "scheduler: unipc and latentry-unipc:unipc draw the same"),
    ({"schedulers": []}, "scheduler: there is nothing to compare"),
    ({"prompts": [{"prompt": "red", "steps": 3}]}, "'red' has a value of its own for steps"),
]


@pytest.mark.parametrize(("axes", "message"), IDLE)
def test_an_axis_without_effect_is_refused(
    engine: Engine, common: dict[str, Any], tmp_path: Path, axes: dict[str, Any], message: str
) -> None:
    with pytest.raises(OptionError, match=re.escape(message)):
        compare(engine, comparison(common, **axes), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_guidance_of_a_network_without_guidance_is_refused(engine: Engine, tmp_path: Path) -> None:
    fast = {"model": str(write_toy(tmp_path / "fast", variants=["fast"]))}
    with pytest.raises(OptionError, match=r"guidance: 0\.0 and 1\.0 draw the same pictures"):
        compare(engine, comparison(fast, guidance=[0.0, 1.0]), tmp_path / "out")
    with pytest.raises(LatentryError, match="guidance scale of 3"):
        compare(engine, comparison(fast, guidance=[1.0, 3.0]), tmp_path / "out")


def test_a_reference_that_draws_noise_is_refused(engine: Engine, common: dict[str, Any], tmp_path: Path) -> None:
    compared = Comparison(axes=Axes(prompts=[{"prompt": "red"}]), common=common, reference=Reference("noisy"))
    with pytest.raises(OptionError, match="cannot draw references: it draws noise of its own"):
        compare(engine, compared, tmp_path / "out")


def test_what_fails_is_told_and_the_rest_is_drawn(engine: Engine, tmp_path: Path) -> None:
    failing = {"model": str(write_toy(tmp_path / "failing", fails="sampling"))}
    report = compare(engine, comparison(failing, reference=0, schedulers=["first"]), tmp_path / "out")
    assert report.failures == 4
    assert all("memory" in picture.error for row in report.rows for picture in row.pictures)
    assert [row.evaluations for row in report.rows] == [None, None]


def test_the_figures_are_json_without_anything_else(engine: Engine, common: dict[str, Any], tmp_path: Path) -> None:
    report = compare(engine, comparison(common), tmp_path / "out")
    found = json.loads(report.to_json())
    assert [row["request"]["scheduler"] for row in found["rows"]] == ["latentry-unipc:unipc"] * 2 + ["toy:first"] * 2
    assert found["rows"][0]["pictures"][0]["file"] == "000003.png"
    assert found["model"] == "toy"
    assert str(tmp_path) not in report.to_json()
