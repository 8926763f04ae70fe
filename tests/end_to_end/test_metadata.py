"""What other programs read in our pictures, and what we read in theirs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import piexif.helper
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from sd_parsers import ParserManager
from support import foreign
from support.commandline import CommandLine
from support.toy import PLUGIN, write_toy

from latentry import PluginHost, read_recipe
from latentry._generate._parameters import parameters
from latentry._pictures._automatic1111 import read_parameters, write_parameters
from latentry._pictures._foreign import read_foreign
from latentry._pictures._reading import PictureTexts, read_texts

HARD = 'a ü 紅, "quoted": {x}\nNegative, prompt\nsecond line'


@pytest.fixture
def toy(tmp_path: Path) -> list[object]:
    """Options for a model that takes no time."""
    return ["--model", write_toy(tmp_path / "model"), "--plugin-dir", PLUGIN, "--steps", 3]


def pixels(path: Path) -> bytes:
    with Image.open(path) as picture:
        return np.asarray(picture).tobytes()


def test_another_program_reads_our_settings(latentry: CommandLine, tmp_path: Path, shapes: Path) -> None:
    """sd-parsers is such a program: it reads what AUTOMATIC1111 writes."""
    options = ["--scheduler", "DPM++ 2M Karras", "--steps", 3, "--seed", 2**63, "--guidance", 2.5, "--negative", "grey"]
    assert latentry("generate", HARD, *options, "-q", folder=tmp_path).code == 0
    found = ParserManager().parse(tmp_path / "picture.png")
    assert found is not None
    (sampler,) = found.samplers
    assert sampler.name == "DPM++ 2M"
    assert sampler.parameters == {"scheduler": "Karras", "cfg_scale": "2.5", "seed": str(2**63), "steps": "3"}
    assert [prompt.value for prompt in sampler.prompts] == [HARD]
    assert [prompt.value for prompt in sampler.negative_prompts] == ["grey"]
    assert sampler.model is not None
    assert sampler.model.name == "shapes"
    assert found.metadata["Size"] == "64x64"


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_exif_has_the_same_text_where_that_program_looks(
    latentry: CommandLine, tmp_path: Path, toy: list[object], suffix: str
) -> None:
    """piexif is what AUTOMATIC1111 reads and writes EXIF with."""
    assert latentry("generate", HARD, *toy, "--seed", 1, "--output", f"a{suffix}", folder=tmp_path).code == 0
    assert latentry("generate", HARD, *toy, "--seed", 1, "--output", "a.png", folder=tmp_path).code == 0
    exif = piexif.load(str(tmp_path / f"a{suffix}"))
    comment = piexif.helper.UserComment.load(exif["Exif"][piexif.ExifIFD.UserComment])
    with Image.open(tmp_path / "a.png") as picture:
        assert comment == picture.text["parameters"]  # type: ignore[attr-defined]
    assert "Steps: 3" in comment


def test_every_sampler_name_leads_back_to_its_scheduler(
    latentry: CommandLine, tmp_path: Path, toy: list[object]
) -> None:
    """The names that are written are those that are read: by each scheduler's own, or that program's."""
    host = PluginHost(plugin_dirs=[PLUGIN])
    assert latentry("generate", "a", *toy, folder=tmp_path).code == 0
    recipe = read_recipe(tmp_path / "picture.png")
    named = 0
    for name in host.schedulers:
        request = recipe.request.model_copy(
            update={"scheduler": host.schedulers.qualified(name), "scheduler_options": {}}
        )
        found = read_parameters(parameters(host, recipe.model_copy(update={"request": request})))
        assert found is not None
        assert host.schedulers.qualified(found.sampler) == host.schedulers.qualified(name)
        named += found.sampler != name
    assert named > 10


@pytest.mark.parametrize("prompt", ["", "one", HARD, "a\n\nb", "Steps: 3 and more", "x: y, z: w"])
@pytest.mark.parametrize("negative", ["", "grey", "two\nlines: here"])
def test_a_text_is_read_as_it_was_written(prompt: str, negative: str) -> None:
    values = {"Steps": 5, "Sampler": "Euler a", "Seed": 7, "Size": "512x768", "Model": 'my, "model": 2', "None": None}
    found = read_parameters(write_parameters(prompt, negative, values))
    assert found is not None
    assert (found.prompt, found.negative, found.steps, found.sampler, found.seed) == (prompt, negative, 5, "Euler a", 7)
    assert (found.width, found.height, found.model) == (512, 768, 'my, "model": 2')
    assert found.rest == {}


FORMATS: dict[str, Callable[[Path], Path]] = {
    "AUTOMATIC1111": foreign.automatic1111,
    "ComfyUI": foreign.comfyui,
    "ComfyUI workflow": foreign.comfyui_workflow,
    "InvokeAI": foreign.invokeai,
    "diffusers": foreign.diffusers,
}


@pytest.mark.parametrize("program", FORMATS)
def test_the_settings_of_other_programs_are_read(latentry: CommandLine, tmp_path: Path, program: str) -> None:
    picture = FORMATS[program](tmp_path / "theirs.png")
    done = latentry("show", picture, "--json", folder=tmp_path)
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["program"] == program.split()[0]
    assert (found["prompt"], found["negative"]) == (foreign.PROMPT, foreign.NEGATIVE)
    assert (found["steps"], found["guidance"], found["seed"], found["model"]) == (6, 3.5, 1234, "shapes")
    assert (found["width"], found["height"]) == (64, 64)
    told = latentry("show", picture, folder=tmp_path)
    unwrapped = " ".join(told.out.split())
    assert f"theirs.png: made by {program.split()[0]}, by its own account." in unwrapped
    assert foreign.PROMPT in told.out


@pytest.mark.parametrize("program", ["AUTOMATIC1111", "ComfyUI", "InvokeAI"])
def test_another_reader_reads_the_same(tmp_path: Path, program: str) -> None:
    """So that the pictures of this test are what such programs write, and not what we think they do."""
    picture = FORMATS[program](tmp_path / "theirs.png")
    ours, theirs = read_foreign(read_texts(picture)), ParserManager().parse(picture)
    assert ours is not None
    assert theirs is not None
    (sampler,) = theirs.samplers
    assert [prompt.value for prompt in sampler.prompts] == [ours.prompt]
    assert [prompt.value for prompt in sampler.negative_prompts] == [ours.negative]
    if program == "AUTOMATIC1111":  # of the others it does not find the model behind a LoRA, or under today's key
        assert sampler.model is not None
        assert sampler.model.name == ours.model
    assert (sampler.name, str(sampler.parameters["seed"])) == (ours.sampler, str(ours.seed))


def test_a_picture_that_was_enlarged_on_the_way(latentry: CommandLine, tmp_path: Path, toy: list[object]) -> None:
    """That program counts the steps that are taken, at the larger size too."""
    hires = {"Denoising_strength": "0.4", "Hires_upscale": "1.5", "Hires_steps": "3", "Hires_upscaler": "4x-Foo"}
    foreign.automatic1111(tmp_path / "theirs.png", **hires)
    done = latentry("generate", "--from", "theirs.png", *toy[:4], "--scheduler", "toy:first", folder=tmp_path)
    assert done.code == 0, done.err
    assert "enlarged by '4x-Foo'; here it is by Lanczos" in " ".join(done.err.split())
    again = read_recipe(tmp_path / "picture.png").request
    assert (again.upscale, again.upscale_strength, again.upscale_mode) == (1.5, 0.4, "pixels")
    with Image.open(tmp_path / "picture.png") as picture:
        assert picture.size == (96, 96)
    ours = read_foreign(PictureTexts({"parameters": read_texts(tmp_path / "picture.png").by_name["parameters"]}))
    assert ours is not None
    assert (ours.upscale, ours.strength, ours.upscale_steps, ours.upscaler) == (1.5, 0.4, 3, "Lanczos")
    assert (ours.width, ours.height, ours.rest) == (64, 64, {})


@pytest.mark.parametrize("program", FORMATS)
def test_their_pictures_are_made_again_as_far_as_they_can_be(
    latentry: CommandLine, tmp_path: Path, shapes: Path, program: str
) -> None:
    """The same as with the settings typed, and it is told what was not taken over."""
    FORMATS[program](tmp_path / "theirs.png")
    done = latentry("generate", "--from", "theirs.png", folder=tmp_path)
    assert done.code == 0, done.err
    name = "DPM++ 2M" if program == "diffusers" else "DPM++ 2M Karras"
    options = ["--steps", 6, "--guidance", 3.5, "--seed", 1234, "--negative", foreign.NEGATIVE, "--scheduler", name]
    typed = latentry("generate", foreign.PROMPT, *options, "--output", "typed.png", folder=tmp_path)
    assert typed.code == 0, typed.err
    if program != "diffusers":  # its DPMSolverMultistepScheduler has options of its own
        assert pixels(tmp_path / "picture.png") == pixels(tmp_path / "typed.png")
    recipe = read_recipe(tmp_path / "picture.png")
    assert recipe.request.scheduler == "latentry-dpmpp:dpmpp-2m"
    assert recipe.derived is not None
    assert (recipe.derived.program, recipe.derived.changed) == (program.split()[0], ())
    assert "draws other noise" in done.err
    expected = {"AUTOMATIC1111": "Lora hashes", "ComfyUI": "ink.safetensors:0.8", "InvokeAI": "cfg_rescale_multiplier"}
    assert expected.get(program, "") in done.err
    assert ("--lora PATH:0.8" in done.err) == (program in ("ComfyUI", "InvokeAI"))


def test_comfyuis_graph_in_exif_is_read(latentry: CommandLine, tmp_path: Path) -> None:
    found = read_foreign(read_texts(foreign.comfyui_webp(tmp_path / "a.webp")))
    assert found == read_foreign(read_texts(foreign.comfyui(tmp_path / "a.png")))


def test_of_two_samplers_the_saved_pictures_is_read(tmp_path: Path) -> None:
    graph = json.loads(json.dumps(foreign.GRAPH))
    graph["20"] = {"class_type": "KSampler", "inputs": {**graph["3"]["inputs"], "steps": 9, "denoise": 0.4}}
    graph["20"]["inputs"]["latent_image"] = ["3", 0]
    graph["8"]["inputs"]["samples"] = ["20", 0]
    found = read_foreign(read_texts(foreign.comfyui(tmp_path / "a.png", graph)))
    assert found is not None
    assert (found.steps, found.strength) == (9, 0.4)
    assert "2 samplers" in found.unsure[0]


def test_a_graph_in_a_circle_is_read_to_its_end(tmp_path: Path) -> None:
    graph = {name: {**node, "inputs": {**node["inputs"], "loop": ["3", 0]}} for name, node in foreign.GRAPH.items()}
    found = read_foreign(read_texts(foreign.comfyui(tmp_path / "a.png", graph)))
    assert found is not None
    assert found.steps == 6


def test_nothing_is_opened_on_their_word(latentry: CommandLine, tmp_path: Path) -> None:
    """Neither a path nor a name on the Hub in a stranger's picture: only what is installed, or typed."""
    (tmp_path / "here").mkdir()
    write_toy(tmp_path / "here" / "model")
    address = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9"}
    for name in ("model", "someone/tracker", str(tmp_path / "here" / "model"), "../here/model"):
        foreign.automatic1111(tmp_path / "here" / "a.png", Model=name)
        for trust in ([], ["--trust"]):
            done = latentry("generate", "--from", "a.png", *trust, folder=tmp_path / "here", environment=address)
            assert (done.code, done.out) == (2, ""), done.err
            assert "not installed under that name" in done.err
            assert "Name the model." in done.err
    typed = ("--model", "model", "--plugin-dir", PLUGIN, "--scheduler", "toy:first")
    assert latentry("generate", "--from", "a.png", *typed, folder=tmp_path / "here").code == 0


@pytest.mark.parametrize(
    "texts",
    [
        {"parameters": "a\x1b]0;title\x07\nSteps: 3, Sampler: \x1b[31mEuler, Seed: 1, \x9b2J: x, Model: \u202eshapes"},
        {"prompt": "[" * 100_000},
        {"prompt": json.dumps({"1": {"class_type": "KSampler", "inputs": {"seed": float("inf"), "steps": "x"}}})},
        {"invokeai_metadata": json.dumps({"seed": [1], "scheduler": {"a": 1}, "model": 3, "loras": {"b": [2]}})},
        {"parameters": json.dumps({"num_inference_steps": True, "guidance_scale": "NaN", "scheduler": ["x"]})},
        {"workflow": json.dumps({"nodes": [1, {"id": [], "type": "KSampler"}], "links": [[], [1, 2]]})},
        {"sd-metadata": json.dumps({"image": {"prompt": [{"prompt": 1}, 2], "steps": -3}})},
        {"parameters": "a\nSteps: 99999999999999999999999, Sampler: Euler, Seed: -5, Size: 0x99999999, CFG scale: inf"},
    ],
)
def test_a_hostile_text_is_shown_harmlessly_or_refused(
    latentry: CommandLine, tmp_path: Path, texts: dict[str, str]
) -> None:
    about = PngInfo()
    for name, text in texts.items():
        about.add_itxt(name, text)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", pnginfo=about)
    for command in (["show", "a.png"], ["show", "a.png", "--json"], ["generate", "--from", "a.png", "--steps", "1"]):
        done = latentry(*command, folder=tmp_path)
        assert done.code in (0, 2), done.err
        printed = done.out + done.err
        assert not any(mark in printed for mark in ("\x1b", "\x9b", "\x07", "\u202e", "Traceback", "Unexpected"))
        assert ("error: " in done.err) == (done.code == 2)


def test_a_picture_with_nothing_to_read_says_so(latentry: CommandLine, tmp_path: Path) -> None:
    foreign.png(tmp_path / "a.png", Comment="made by hand", parameters="just words, no: pairs")
    for command in (["show", "a.png"], ["generate", "--from", "a.png"]):
        done = latentry(*command, folder=tmp_path)
        assert (done.code, done.out) == (2, "")
        assert "has no recipe" in done.err
    assert read_foreign(PictureTexts({"prompt": "a plain sentence"})) is None


@pytest.fixture
def drawn(latentry: CommandLine, tmp_path: Path, toy: list[object]) -> list[object]:
    """A folder with the third of four pictures; the command that begins to make it again."""
    options = ["--seed", 7, "--count", 4, "--negative", "b", "--scheduler", "toy:noisy", "-q"]
    assert latentry("generate", "a", *toy, *options, folder=tmp_path).code == 0
    return ["generate", "--from", "picture-002.png", *toy[:4], "-q", "--output"]


def test_the_same_picture_with_something_changed(
    latentry: CommandLine, tmp_path: Path, drawn: list[object], toy: list[object]
) -> None:
    """It is the same place in the same request, with that one field changed, and is recorded as such."""
    changes = {
        "seed": ["--seed", 8],
        "steps": ["--steps", 5],
        "guidance": ["--guidance", 2.5],
        "negative": ["--negative", "c"],
    }
    base = {"seed": ["--seed", 7], "steps": ["--steps", 3], "guidance": [], "negative": ["--negative", "b"]}
    source = read_recipe(tmp_path / "picture-002.png")
    for field, option in changes.items():
        done = latentry(*drawn, f"{field}.png", *option, folder=tmp_path)
        assert done.code == 0, done.err
        typed = [word for words in {**base, field: option}.values() for word in words]
        command = ["generate", "a", *toy[:4], "--count", 4, "--scheduler", "toy:noisy", *typed]
        assert latentry(*command, "-q", "--output", f"all-{field}.png", folder=tmp_path).code == 0
        assert pixels(tmp_path / f"{field}.png") == pixels(tmp_path / f"all-{field}-002.png")
        recipe = read_recipe(tmp_path / f"{field}.png")
        changed = recipe.request.model_dump() | {field: getattr(source.request, field)}
        assert changed == source.request.model_dump()
        assert recipe.index == 2
        assert recipe.derived is not None
        assert (recipe.derived.program, recipe.derived.changed) == ("Latentry", (field,))


def test_another_scheduler_chooses_its_own_grid(latentry: CommandLine, tmp_path: Path, shapes: Path) -> None:
    options = ["--scheduler", "ddim", "--set", "eta=0.5", "--steps", 4, "--seed", 3, "-q"]
    assert latentry("generate", "a red circle", *options, folder=tmp_path).code == 0
    done = latentry("generate", "--from", "picture.png", "--scheduler", "unipc", "--seed", 8, folder=tmp_path)
    assert done.code == 0, done.err
    typed = ["--scheduler", "unipc", "--steps", 4, "--seed", 8, "--output", "typed.png"]
    assert latentry("generate", "a red circle", *typed, folder=tmp_path).code == 0
    assert pixels(tmp_path / "picture-001.png") == pixels(tmp_path / "typed.png")
    recipe = read_recipe(tmp_path / "picture-001.png")
    assert recipe.derived is not None
    assert set(recipe.derived.changed) == {"scheduler", "seed"}
    again = latentry("generate", "--from", "picture-001.png", "--output", "again.png", folder=tmp_path)
    assert again.code == 0, again.err
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "picture-001.png").read_bytes()


def test_what_is_not_changed_is_still_checked(latentry: CommandLine, tmp_path: Path, drawn: list[object]) -> None:
    """The model must be the one, and nothing is opened on the picture's word."""
    other = write_toy(tmp_path / "other", kind="flow")
    command = ["generate", "--from", "picture-002.png", "--plugin-dir", PLUGIN, "--seed", 8]
    wrong = latentry(*command, "--model", other, folder=tmp_path)
    assert (wrong.code, "is not the one" in wrong.err) == (2, True), wrong.err
    (tmp_path / "elsewhere").mkdir()
    strange = latentry(*command[:2], "../picture-002.png", *command[3:], folder=tmp_path / "elsewhere")
    assert (strange.code, "may not be opened here" in strange.err) == (2, True), strange.err
    many = latentry(*command, "--count", 2, folder=tmp_path)
    assert (many.code, "--seed 1..4" in many.err) == (2, True)


def test_show_says_what_is_not_at_its_default(latentry: CommandLine, tmp_path: Path, drawn: list[object]) -> None:
    show = ("show", "picture-002.png")
    written, everything = (latentry(*show, *more, folder=tmp_path).out for more in ([], ["--verbose"]))
    lines = [line for line in written.splitlines() if line.startswith(" ")]
    assert set(lines) < set(everything.splitlines())
    names = {line.split(":")[0].strip() for line in lines}
    assert {"prompt", "scheduler", "steps", "seed", "model"} <= names
    assert not {"skip_layer_scale", "upscale_mode", "mask_feather", "offline"} & names
    assert "skip_layer_scale: 2.8" in everything
    assert "Infinity" not in written + everything
    assert "--verbose" in written.splitlines()[-1]


def test_show_has_words_for_what_has_no_end(latentry: CommandLine, tmp_path: Path, toy: list[object]) -> None:
    options = ("--scheduler", "dpmpp-2m-sde", "--set", "longest_step=inf", "--output", "a.png")
    assert latentry("generate", "Infinity", *toy, *options, folder=tmp_path).code == 0
    written = latentry("show", "a.png", folder=tmp_path).out
    assert "longest_step=no limit" in written
    assert "prompt: Infinity" in written
