"""Everything that can be asked wrongly: exit code 2, one message, no traceback, nothing left behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from support.commandline import CommandLine, Done, fresh
from support.models import as_wide_as_turbo, copied, edit, edit_weights, truncate
from support.toy import PLUGIN, write_toy

from latentry import read_recipe

UNET = Path("unet/diffusion_pytorch_model.safetensors")
TEXT = Path("text_encoder/model.safetensors")
Spoil = Callable[[Path], object]


def assert_refused(done: Done, folder: Path, *words: str, before: frozenset[Path] = frozenset()) -> None:
    """What every refusal has to be."""
    assert done.code == 2, done.err
    assert done.out == ""
    assert "Traceback" not in done.err
    assert done.err.startswith("error: ")
    assert done.err.count("error: ") == 1
    missing = [word for word in words if word not in done.err]
    assert not missing, done.err
    assert done.err.count("\n") <= 12
    assert left(folder) == before


def left(folder: Path) -> frozenset[Path]:
    """Pictures, whole or half, in a folder."""
    return frozenset(path for path in folder.rglob("*") if path.is_file() and path.suffix in (".png", ".part"))


ASKED_WRONGLY: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "unknown scheduler": (["--scheduler", "ddmi"], ("'ddmi'", "ddim")),
    "unknown option": (["--set", "etaa=1"], ("no option 'etaa'", "eta")),
    "bad option value": (["--set", "eta=7"], ("eta", "at most 1")),
    "bad option type": (["--set", "eta=much"], ("eta", "number")),
    "option without value": (["--set", "eta"], ("--set eta", "NAME=VALUE")),
    "option that is no number": (["--set", "eta=NaN"], ("--set eta=NaN: it must not contain NaN.",)),
    "incompatible pair": (
        ["--plugin-dir", str(PLUGIN), "--scheduler", "flow-only"],
        ("'flow-only' cannot be used", "supports flow", "model's is vp", "ddim"),
    ),
    "unknown sigmas": (["--sigmas", "kerras"], ("'kerras'",)),
    "rising sigmas": (["--sigmas", "3,5"], ("must fall", "3")),
    "negative sigma": (["--sigmas=-1,0.5"], ("sigma -1",)),
    "sigmas that are no numbers": (["--sigmas", "nan,1"], ("--sigmas nan,1: it must not contain NaN.",)),
    "as many sigmas as steps": (["--sigmas", "3,1", "--steps", "9"], ("2 sigmas cannot be used for 9 steps",)),
    "no steps": (["--steps", "0"], ("--steps 0: it must be at least 1.",)),
    "too many steps": (["--steps", "2000"], ("2000 steps", "1000")),
    "no pictures": (["--count", "0"], ("--count 0: it must be at least 1.",)),
    "a seed below nothing": (["--seed=-2"], ("--seed -2: it must be at least -1.",)),
    "guidance below nothing": (["--guidance=-1"], ("--guidance -1: it must be at least 0.",)),
    "odd ending": (["--final", "never"], ("--final never", "'zero' or 'table'")),
    "odd dtype": (["--dtype", "float8"], ("--dtype float8", "float16")),
    "no such device": (["--device", "warp"], ("'warp'", "cuda")),
    "a device that is not there": (["--device", "cuda:97"], ("cuda:97", "cpu")),
    "unknown attention": (["--attention", "sdap"], ("'sdap'",)),
    "attention that cannot": (
        ["--plugin-dir", str(PLUGIN), "--attention", "unable"],
        ("'unable' cannot serve here", "the moon is not full"),
    ),
    "attention that fails": (["--plugin-dir", str(PLUGIN), "--attention", "broken"], ("driver not found",)),
    "a size it cannot do": (["--width", "60"], ("60×64", "multiples of 8", "Use 64×64")),
    "a size that is none": (["--height", "0"], ("--height 0: it must be at least 1.",)),
    "unknown variant": (["--variant", "sdxl"], ("'sdxl'", "sd15, sd15-inpainting, sd21-base, sd21")),
    "missing model": (["--model", "nowhere/at/all"], ("no model 'nowhere/at/all'", "latentry models")),
    "nearly an installed model": (["--model", "shapse"], ("no model 'shapse'",)),
    "output is a folder that is a file": (["--output", "file/"], ("file/ cannot be written",)),
    "output of another format": (["--output", "picture.gif"], ("is not a name of a PNG, JPEG", ".jpg", ".avif")),
    "output below a file": (["--output", "file/picture.png"], ("file/picture.png cannot be written",)),
    "output with an endless name": (["--output", "x" * 300 + ".png"], ("cannot be written",)),
    "a picture that is not there": (["--init-image", "absent.png"], ("There is no file absent.png",)),
    "a picture that is none": (["--init-image", "file"], ("file cannot be read as a picture",)),
    "a mask without a picture": (["--mask", "half.bmp"], ("--mask half.bmp: it has no effect without --init-image.",)),
    "a mask that is none": (["--init-image", "whole.bmp", "--mask", "file"], ("file cannot be read as a picture",)),
    "a mask of another size": (
        ["--init-image", "whole.bmp", "--mask", "half.bmp"],
        ("mask is 32×64, and the picture is 64×64", "of the picture's size"),
    ),
    "no strength": (["--init-image", "whole.bmp", "--strength", "0"], ("--strength 0: it must be more than 0.",)),
    "too much strength": (
        ["--init-image", "whole.bmp", "--strength", "1.2"],
        ("--strength 1.2: it must be at most 1.",),
    ),
    "too little strength": (["--init-image", "whole.bmp", "--strength", "0.4"], ("leaves none of 2 steps", "full")),
    "a strength without a picture": (
        ["--strength", "0.5"],
        ("--strength 0.5: it has no effect without --init-image.",),
    ),
    "an odd strength mode": (
        ["--init-image", "whole.bmp", "--strength", "0.5", "--strength-mode", "half"],
        ("--strength-mode half", "cut", "full"),
    ),
    "an interval from end to start": (["--guidance-interval", "0.8,0.2"], ("smaller first",)),
    "an interval that is none": (
        ["--guidance-interval", "0.8"],
        ("--guidance-interval 0.8: it must be two shares of the steps",),
    ),
    "too much rescaling": (["--guidance-rescale", "2"], ("--guidance-rescale 2: it must be at most 1.",)),
    "layers this network cannot skip": (["--skip-layers", "7,8"], ("sd15 cannot", "skip-layer guidance")),
    "layers that are no numbers": (
        ["--skip-layers", "all"],
        ("--skip-layers all: it must be whole numbers separated by commas",),
    ),
    "more of CLIP than there is": (["--condition", "clip_skip=2"], ("clip_skip=2", "At most 1")),
    "an option that moved": (["--clip-skip", "2"], ("--clip-skip is now --condition clip_skip=2",)),
    "an inpainting network that is none": (
        ["--variant", "sd15-inpainting", "--init-image", "whole.bmp", "--mask", "whole.bmp"],
        ("is not of the variant sd15-inpainting: it is sd15", "the UNet takes 4 channels", "Leave the variant out"),
    ),
    "a LoRA that is not there": (["--lora", "absent.safetensors:0.5"], ("no LoRA file absent.safetensors",)),
    "a LoRA that is none": (["--lora", "file"], ("is damaged", "file")),
    "a LoRA of no weight": (["--lora", "file:nan"], ("--lora file:nan", "finite number")),
    "an odd LoRA mode": (["--lora", "file", "--lora-mode", "mixed"], ("--lora-mode mixed", "unmerged", "merged")),
    "plugin folder without a value": (["--plugin-dir"], ("--plugin-dir needs a value",)),
}


@pytest.mark.parametrize("what", ASKED_WRONGLY)
def test_asked_wrongly(latentry: CommandLine, tiny: Path, tmp_path: Path, what: str) -> None:
    arguments, words = ASKED_WRONGLY[what]
    (tmp_path / "file").write_text("a file")
    Image.new("RGB", (64, 64)).save(tmp_path / "whole.bmp")
    Image.new("L", (32, 64)).save(tmp_path / "half.bmp")
    done = latentry("generate", "a star", "--quiet", "--model", tiny, "--steps", 2, *arguments, folder=tmp_path)
    assert_refused(done, tmp_path, *words)


SPOILT: dict[str, tuple[Spoil, tuple[str, ...]]] = {
    "truncated weights": (lambda m: truncate(m / UNET), (str(UNET), "is damaged", "bytes")),
    "empty weights": (lambda m: (m / UNET).write_bytes(b""), (str(UNET), "is damaged")),
    "pickles only": (
        lambda m: (m / UNET).rename((m / UNET).with_suffix(".bin")),
        ("is a pickle and is refused", "runs code", "safetensors"),
    ),
    "no weights": (lambda m: (m / UNET).unlink(), ("unet", "holds no weights")),
    "a missing key": (lambda m: edit_weights(m / UNET, drop="conv_in.weight"), ("lacks conv_in.weight",)),
    "a wrong shape": (lambda m: edit_weights(m / UNET, reshape="conv_in.weight"), ("conv_in.weight",)),
    "a configuration of another size": (
        lambda m: edit(m / "text_encoder" / "config.json", hidden_size=64),
        ("text",),
    ),
    "no index": (lambda m: (m / "model_index.json").unlink(), ("has no model_index.json",)),
    "an index that is no json": (lambda m: (m / "model_index.json").write_text("{"), ("not valid JSON",)),
    "another pipeline": (
        lambda m: edit(m / "model_index.json", _class_name="FluxPipeline"),
        ("not a model that an installed family recognises", "FluxPipeline"),
    ),
    "a part is missing": (
        lambda m: (m / "tokenizer").rename(m / "elsewhere"),
        ("not a model that an installed family recognises", "missing: tokenizer"),
    ),
    "odd betas": (lambda m: edit(m / "scheduler" / "scheduler_config.json", beta_schedule="odd"), ("'odd'",)),
    "impossible betas": (lambda m: edit(m / "scheduler" / "scheduler_config.json", beta_end=2.0), ("betas",)),
    "noise prediction from pure noise": (
        lambda m: edit(m / "scheduler" / "scheduler_config.json", rescale_betas_zero_snr=True),
        ("cannot start from pure noise", "α = 0", "v-prediction"),
    ),
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_spoilt_model(latentry: CommandLine, tiny: Path, tmp_path: Path, what: str) -> None:
    spoil, words = SPOILT[what]
    model = copied(tiny, tmp_path / "model")
    spoil(model)
    done = latentry("generate", "a star", "--quiet", "--model", model, "--steps", 2, folder=tmp_path)
    assert_refused(done, tmp_path, *words)


FILES: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "m.ckpt": (b"x", ("is a pickle",)),
    "m.safetensors": (b"x", ("m.safetensors is damaged", "not a complete safetensors file", "1 bytes")),
    "zip.safetensors": (b"PK\x03\x04 and so on", ("zip.safetensors is a pickle",)),
    "bare.sft": (b"\x80\x02 and so on", ("bare.sft is a pickle",)),
    "m.gguf": (b"x", ("m.gguf is damaged", "not a complete GGUF file")),
    "m.txt": (b"x", ("is not a file of weights", ".safetensors", ".gguf")),
}


@pytest.mark.parametrize("name", FILES)
def test_a_model_that_is_not_a_file_of_weights(latentry: CommandLine, tmp_path: Path, name: str) -> None:
    content, words = FILES[name]
    (tmp_path / name).write_bytes(content)
    assert_refused(latentry("generate", "a", "--model", name, folder=tmp_path), tmp_path, name, *words)


def test_guidance_of_a_network_that_knows_none(latentry: CommandLine, tiny: Path, tmp_path: Path) -> None:
    turbo = as_wide_as_turbo(copied(tiny, tmp_path / "model"))
    asked = ["--variant", "sd-turbo", "--guidance", 5, "--scheduler", "ddim"]
    done = latentry("generate", "a star", "--model", turbo, *asked, folder=tmp_path)
    assert_refused(done, tmp_path, "sd-turbo cannot be used with a guidance scale of 5")


def test_a_folder_that_is_not_a_model(latentry: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = latentry("generate", "a star", "--model", "empty", folder=tmp_path)
    assert_refused(
        done, tmp_path, "not a model that an installed family recognises", "no model_index.json", "Asked:", "sd"
    )


@pytest.mark.parametrize("prompt", [[], [""]])
def test_without_a_prompt(latentry: CommandLine, tmp_path: Path, prompt: list[str]) -> None:
    assert_refused(latentry("generate", *prompt, folder=tmp_path), tmp_path, "There is no prompt", "latentry generate")


@pytest.mark.parametrize("fails", ["loading", "sampling"])
def test_exhausted_memory(latentry: CommandLine, tmp_path: Path, fails: str) -> None:
    model = write_toy(tmp_path / "model", fails=fails)
    done = latentry("generate", "a", "--quiet", "--model", model, "--plugin-dir", PLUGIN, folder=tmp_path)
    assert_refused(done, tmp_path, "Out of memory", "Tried to allocate 20 GiB", "float16")


def test_without_the_models_family(latentry: CommandLine, tiny: Path, tmp_path: Path) -> None:
    blocked = {"LATENTRY_LOAD": "", "LATENTRY_PLUGINS": "latentry,latentry-ddim"}
    done = latentry("generate", "a", "--model", tiny, folder=tmp_path, environment=blocked)
    assert_refused(done, tmp_path, "No model family is installed")


def test_without_the_preferred_schedulers(latentry: CommandLine, tiny: Path, tmp_path: Path) -> None:
    only = {"LATENTRY_PLUGINS": "latentry,latentry-sd"}
    done = latentry("generate", "a", "--model", tiny, folder=tmp_path, environment=only)
    assert_refused(done, tmp_path, "None of the schedulers that sd15 prefers", "pip install ./plugins/latentry-ddim")


def test_without_any_model(latentry: CommandLine, tmp_path: Path) -> None:
    only = {"LATENTRY_PLUGINS": "latentry,latentry-sd"}
    done = latentry("generate", "a", folder=tmp_path, environment=only)
    assert_refused(done, tmp_path, "No model was given", "path of a model", "latentry-shapes")


@pytest.fixture(scope="module")
def picture(latentry: CommandLine, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture with its recipe; not to be changed."""
    folder = tmp_path_factory.mktemp("pictures")
    done = latentry("generate", "a star", "--quiet", "--model", tiny, "--steps", 2, "--seed", 4, folder=folder)
    assert (done.code, done.out, done.err) == (0, "", "")
    return folder / "picture.png"


def with_recipe(picture: Path, path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The same pixels with another recipe."""
    recipe = json.loads(read_recipe(picture).model_dump_json())
    change(recipe)
    about = PngInfo()
    about.add_itxt("latentry", json.dumps(recipe))
    with Image.open(picture) as opened:
        opened.save(path, pnginfo=about)
    return path


RECIPES: dict[str, tuple[Callable[[dict[str, Any]], object], tuple[str, ...]]] = {
    "a newer plugin": (
        lambda r: r["plugins"]["scheduler"].update(version="0.0.1"),
        ("latentry-ddim:ddim is newer here", "install latentry-ddim==0.0.1", "--anyway"),
    ),
    "an older plugin": (lambda r: r["plugins"]["family"].update(version="9.9"), ("latentry-sd:sd is older here",)),
    "a missing plugin": (
        lambda r: r["plugins"]["scheduler"].update(
            name="latentry-gone:gone", distribution="latentry-gone", version="1.0"
        ),
        ("latentry-gone:gone is missing", "install latentry-gone==1.0"),
    ),
    "another checkpoint": (lambda r: r.update(model="0" * 16), ("not the one that the picture was made with",)),
    "a checkpoint that went": (lambda r: r["request"].update(model="/gone/away"), ("no model '/gone/away'",)),
    "a recipe of the future": (lambda r: r["request"].update(style="new"), ("cannot be read", "request.style")),
}


@pytest.mark.parametrize("what", RECIPES)
def test_a_picture_that_cannot_be_made_again(latentry: CommandLine, picture: Path, tmp_path: Path, what: str) -> None:
    change, words = RECIPES[what]
    source = with_recipe(picture, tmp_path / "source.png", change)
    before = source.read_bytes()
    done = latentry("generate", "--from", source, "--trust", "--output", "again.png", folder=tmp_path)
    assert_refused(done, tmp_path, *words, before=frozenset({source}))
    assert source.read_bytes() == before


def test_a_picture_without_a_recipe(latentry: CommandLine, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.png")
    for command in (("generate", "--from", "plain.png"), ("show", "plain.png")):
        done = latentry(*command, folder=tmp_path)
        assert_refused(done, tmp_path, "has no recipe", before=frozenset({tmp_path / "plain.png"}))


def test_what_is_not_a_picture(latentry: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("no picture")
    for command in (("generate", "--from"), ("show",)):
        assert_refused(latentry(*command, "text.txt", folder=tmp_path), tmp_path, "cannot be read as a picture")
        assert_refused(latentry(*command, "absent.png", folder=tmp_path), tmp_path, "There is no file absent.png")


def test_settings_beside_a_picture(latentry: CommandLine, picture: Path, tmp_path: Path) -> None:
    """They are taken, but do not count as consent to what the picture names, and are checked like any others."""
    before, source = picture.read_bytes(), read_recipe(picture).request.model_dump()
    given: dict[str, tuple[list[str], object]] = {
        "prompt": (["a prompt"], "a prompt"),
        "steps": (["--steps", "4"], 4),
        "seed": (["--seed", "1"], 1),
        "batch": (["--batch", "1"], 1),
    }
    for extra, _ in given.values():
        done = latentry("generate", *extra, "--from", picture, folder=tmp_path)
        assert_refused(done, tmp_path, "may not be opened here", "--trust")
    for wrong, words in (
        (["--steps", "0"], "--steps 0: it must be at least 1."),
        (["--set", "etaa=1"], "no option 'etaa'"),
        (["--count", "2"], "--count cannot be given with it"),
    ):
        done = latentry("generate", *wrong, "--from", picture, "--trust", folder=tmp_path)
        assert_refused(done, tmp_path, words)
    for field, (extra, value) in given.items():
        name = f"{field}.png"
        done = latentry("generate", *extra, "--from", picture, "--trust", "--output", name, folder=tmp_path)
        assert (done.code, done.out) == (0, f"{name}\n"), done.err
        assert read_recipe(tmp_path / name).request.model_dump() == source | {field: value}
    assert picture.read_bytes() == before


def test_an_unknown_command_line_option_is_told_by_name(latentry: CommandLine, tmp_path: Path) -> None:
    done = latentry("generate", "a", "--stpes", "4", folder=tmp_path)
    assert done.code == 2
    assert "--stpes" in done.err
    assert "Traceback" not in done.err


def test_an_error_while_writing_is_told_and_leaves_nothing(latentry: CommandLine, tiny: Path, tmp_path: Path) -> None:
    """The name is just short enough for the check at the start, and too long with what is put around it."""
    name = "x" * 250 + ".png"
    done = latentry("generate", "a", "--quiet", "--model", tiny, "--steps", 1, "--output", name, folder=tmp_path)
    assert_refused(done, tmp_path, "cannot be written")


def test_a_refusal_of_a_fresh_python(tiny: Path, tmp_path: Path) -> None:
    """Nothing that an import says gets in the way."""
    broken = copied(tiny, tmp_path / "model")
    edit_weights(broken / TEXT, drop=next(iter(_keys(broken / TEXT))))
    done = fresh("generate", "a star", "--quiet", "--model", broken, folder=tmp_path)
    assert_refused(done, tmp_path, "lacks")


def _keys(file: Path) -> list[str]:
    from safetensors import safe_open

    with safe_open(file, "pt") as opened:
        return [key for key in opened.keys() if opened.get_tensor(key).dtype == torch.float32]  # noqa: SIM118
