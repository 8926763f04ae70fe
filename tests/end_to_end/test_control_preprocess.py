"""``control_preprocess``: what is made of the pictures of all controls that do not say it themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.both_pipelines import drawing
from support.commandline import CommandLine
from support.controlnets import write_controlnet, write_ip_adapter

from latentry import ControlRequest, Engine, GenerationRequest, OptionError, PluginHost, read_recipe

pytest.importorskip("cv2", reason="preprocess=canny is OpenCV's")


@pytest.fixture(scope="module")
def networks(families: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A ControlNet, which has the option, an IP-Adapter, which has not, their model, and a picture."""
    root, sd = tmp_path_factory.mktemp("networks"), families["sd"]
    drawing()[0].save(root / "photo.png")
    net, adapter = write_controlnet(root / "net", sd), write_ip_adapter(root / "adapter", sd)
    return {"net": str(net), "adapter": str(adapter), "sd": str(sd), "photo": str(root / "photo.png")}


def asked(networks: dict[str, str], *controls: tuple[str, dict[str, Any]], **given: Any) -> GenerationRequest:
    made = tuple(
        ControlRequest(model=networks[name], picture=networks["photo"], options=options) for name, options in controls
    )
    return GenerationRequest(prompt="a", model=networks["sd"], seed=1, steps=1, controls=made, **given)


def test_it_is_for_controls_that_have_the_option_and_do_not_say_it(networks: dict[str, str]) -> None:
    """A recipe says it control by control, as if it had been given so."""
    engine = Engine(PluginHost())
    given: list[tuple[str, dict[str, Any]]] = [
        ("net", {}),
        ("net", {"guess": True, "low": 30}),
        ("net", {"preprocess": None}),
        ("adapter", {}),
    ]
    told = [{"preprocess": "canny"}, {"guess": True, "low": 30, "preprocess": "canny"}, {"preprocess": None}, {}]
    names = [name for name, _ in given]
    setup = engine.prepare(asked(networks, *given, control_preprocess="canny"))
    assert [control.options for control in setup.request.controls] == told
    assert setup.request.control_preprocess is None
    assert setup.request == engine.prepare(asked(networks, *zip(names, told, strict=True))).request
    assert engine.prepare(setup.request).request == setup.request
    assert [getattr(control.options, "preprocess", None) for control in setup.controls] == ["canny"] * 2 + [None] * 2


@pytest.mark.parametrize(
    ("controls", "value", "words"),
    [
        ([], "canny", "needs controls"),
        ([("adapter", {})], "canny", "ip-adapter has no option preprocess"),
        ([("net", {"preprocess": "canny"})], "canny", "photo.png has its own preprocess"),
        ([("adapter", {}), ("net", {"preprocess": None})], "canny", "no option preprocess. The control with photo.png"),
        ([("adapter", {}), ("net", {})], "sobel", "'canny' or 'lineart-standard'"),
    ],
)
def test_where_none_can_use_it_it_is_refused(
    networks: dict[str, str], controls: list[tuple[str, dict[str, Any]]], value: str, words: str
) -> None:
    with pytest.raises(OptionError) as caught:
        Engine(PluginHost()).prepare(asked(networks, *controls, control_preprocess=value))
    assert caught.value.field == "control_preprocess"
    assert words in f"{caught.value.what} {caught.value.why}"
    assert caught.value.remedy


@pytest.mark.slow
def test_on_the_command_line_it_is_the_same_as_with_each_control(
    latentry: CommandLine, networks: dict[str, str], tmp_path: Path
) -> None:
    plain = f"{networks['net']}={networks['photo']}"
    drawing_one = ("generate", "a", "--model", networks["sd"], "--steps", "1", "--seed", "3", "--output")
    for name, typed in {
        "short.png": ("--control", plain, "--control-preprocess", "canny"),
        "long.png": ("--control", f"{plain}:preprocess=canny"),
        "without.png": ("--control", plain),
    }.items():
        done = latentry(*drawing_one, name, *typed, folder=tmp_path)
        assert done.code == 0, done.err
    short, long, without = (Image.open(tmp_path / f"{name}.png").tobytes() for name in ("short", "long", "without"))
    assert short == long
    assert short != without
    assert read_recipe(tmp_path / "short.png") == read_recipe(tmp_path / "long.png")
    done = latentry(
        "generate",
        "--from",
        "without.png",
        "--control-preprocess",
        "canny",
        "--output",
        "changed.png",
        "--trust",
        folder=tmp_path,
    )
    assert done.code == 0, done.err
    assert Image.open(tmp_path / "changed.png").tobytes() == short
    done = latentry("generate", "--from", "short.png", "--control-preprocess", "canny", "--trust", folder=tmp_path)
    assert done.code == 2
    assert done.err.startswith("error: --control-preprocess canny: The option control_preprocess has no effect here.")


@pytest.mark.slow
def test_lines_of_a_batch_say_it_or_have_it_from_the_option(
    latentry: CommandLine, networks: dict[str, str], tmp_path: Path
) -> None:
    control = {"model": networks["net"], "picture": networks["photo"]}
    lines = [
        {"prompt": "a", "controls": [control]},
        {"prompt": "a", "controls": [{**control, "options": {"preprocess": None}}], "control_preprocess": None},
    ]
    (tmp_path / "lines.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    typed = ("--model", networks["sd"], "--steps", "1", "--seed", "3", "--output", "drawn")
    done = latentry("batch", "lines.jsonl", *typed, "--control-preprocess", "canny", folder=tmp_path)
    assert done.code == 0, done.err
    recipes = [read_recipe(file) for file in sorted((tmp_path / "drawn").glob("*.png"))]
    assert [recipe.request.controls[0].options["preprocess"] for recipe in recipes] == ["canny", None]
