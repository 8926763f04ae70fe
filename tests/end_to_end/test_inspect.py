"""``latentry inspect`` and the refusal of what is not a model, through every installed family."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.models import copied, truncate, write_stable_diffusion
from support.sparse import Shapes, write_sparse, write_sparse_gguf, write_sparse_shards

from latentry import ModelError, PluginHost, inspect_model
from latentry._cli import main
from latentry._files._finding._locate import locate

FLUX: Shapes = {
    "img_in.weight": (3072, 64),
    "txt_in.weight": (3072, 4096),
    "vector_in.in_layer.weight": (3072, 768),
    "final_layer.linear.weight": (64, 3072),
    **{f"double_blocks.{number}.img_attn.qkv.weight": (9216, 3072) for number in range(19)},
    **{f"single_blocks.{number}.linear1.weight": (21504, 3072) for number in range(38)},
}
"""As much of FLUX.1 schnell as tells."""
OTHERS: dict[str, tuple[Shapes, str, str]] = {
    "a LoRA": (
        {"lora_unet_single_blocks_0_linear1.lora_down.weight": (16, 3072)},
        "a LoRA for FLUX.1",
        "as a LoRA",
    ),
    "an autoencoder": (
        {"decoder.conv_in.weight": (512, 16, 3, 3)},
        "an autoencoder with 16 latent channels",
        "as the autoencoder",
    ),
    "a ControlNet": ({"controlnet_cond_embedding.conv_in.weight": (16, 3, 3, 3)}, "a ControlNet", "Give a model"),
    "an upscaler": ({"conv_first.weight": (64, 3, 3, 3)}, "an upscaler", "Give a model"),
    "a text encoder": (
        {"shared.weight": (32128, 4096), "encoder.block.0.layer.0.SelfAttention.q.weight": (4096, 4096)},
        "a text encoder (T5)",
        "as a text encoder",
    ),
}


@pytest.fixture(scope="module")
def host() -> PluginHost:
    return PluginHost()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stable_diffusion(tmp_path_factory.mktemp("inspect") / "model")


def run(path: Path, *more: str, capture: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = 0
    try:
        code = main(["inspect", str(path), *more])
    except SystemExit as error:
        code = int(error.code or 0)
    shown = capture.readouterr()
    return code, shown.out, shown.err


def test_a_file_is_told_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_sparse(tmp_path / "flux.safetensors", FLUX, dtype="BF16", modelspec__title="My picture machine")
    code, out, err = run(file, capture=capsys)
    assert (code, err) == (0, "")
    assert f"{file} is a model of latentry-flux:flux\n  variant: schnell\n  predicts: flow_prediction\n" in out
    assert "dtypes: bfloat16" in out
    assert "it calls itself My picture machine" in out
    assert "the text encoder T5-XXL: give --text-encoder FILE" in out


def test_a_file_is_told_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str], host: PluginHost) -> None:
    file = write_sparse_gguf(tmp_path / "flux.gguf", FLUX, "flux")
    code, out, _ = run(file, "--json", capture=capsys)
    told = json.loads(out)
    seen = inspect_model(host, file)
    assert code == 0
    assert (told["path"], told["family"], told["variants"]) == (str(file), "latentry-flux:flux", ["schnell"])
    assert told["kind"] == "model"
    assert told["missing"] == list(seen.found.missing)
    assert (told["size"], told["parameters"]) == (seen.found.size, seen.found.parameters)
    assert told["size"] < file.stat().st_size


def test_a_folder_is_told(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(model, capture=capsys)
    assert code == 0
    assert "is a model of latentry-sd:sd\n  variant: sd15\n  predicts: epsilon\n  dtypes: float32" in out


def test_several_variants_are_told_with_what_decides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    norms = {"joint_blocks.0.x_block.attn.ln_q.weight": (64,), "pos_embed": (1, 36864, 2432)}
    blocks = {f"joint_blocks.{number}.x_block.attn.qkv.weight": (7296, 2432) for number in range(38)}
    ends = {"x_embedder.proj.weight": (2432, 16, 2, 2), "context_embedder.weight": (2432, 4096)}
    _, out, _ = run(write_sparse(tmp_path / "large.safetensors", norms | blocks | ends), capture=capsys)
    assert "sd35-large or sd35-large-turbo (its headers do not say which; name it, e.g. --variant sd35-large)" in out
    assert "modelspec.architecture in its metadata" in out


@pytest.mark.parametrize("other", OTHERS)
def test_what_is_not_a_model_is_named_and_refused(
    tmp_path: Path, host: PluginHost, other: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shapes, words, remedy = OTHERS[other]
    file = write_sparse(tmp_path / "file.safetensors", shapes)
    code, out, _ = run(file, capture=capsys)
    assert (code, out.splitlines()[0]) == (0, f"{file} is {words}")
    assert "variant" not in out
    with pytest.raises(ModelError) as caught:
        locate(host, str(file), None)
    assert caught.value.what == f"{file} is {words}, not a model."
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(("part", "words"), [("unet", "a UNet alone"), ("vae", "an autoencoder")])
def test_a_part_of_a_folder_is_named_and_refused(model: Path, host: PluginHost, part: str, words: str) -> None:
    with pytest.raises(ModelError, match=f"is {words}, not a model"):
        locate(host, str(model / part), None)
    assert inspect_model(host, model / part).found.size


def test_a_model_that_cannot_be_run_is_told_with_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(write_sparse(tmp_path / "f.safetensors", {**FLUX, "img_in.weight": (3072, 128)}), capture=capsys)
    assert code == 0
    assert "variant: none that can run" in out
    assert "takes 128 channels and gives 64, which no supported network does" in out


def weights(folder: Path) -> Path:
    return folder / "unet" / "diffusion_pytorch_model.safetensors"


def pickled(folder: Path) -> Path:
    import torch

    file = folder / "model.ckpt"
    torch.save({"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(1)}, file)
    return file


def renamed(suffix: str) -> Callable[[Path], Path]:
    return lambda folder: pickled(folder).rename(folder / f"model{suffix}")


def without_a_shard(folder: Path) -> Path:
    index = write_sparse_shards(folder / "unet", {**FLUX})
    sorted(index.parent.glob("*-of-*"))[1].unlink()
    return index


def folder_without_a_shard(folder: Path) -> Path:
    weights(folder).unlink()
    without_a_shard(folder)
    return folder


def cut(folder: Path) -> Path:
    truncate(weights(folder))
    return weights(folder)


def cut_in_the_folder(folder: Path) -> Path:
    cut(folder)
    return folder


def emptied(folder: Path) -> Path:
    weights(folder).write_bytes(b"")
    return weights(folder)


def pickles_alone(folder: Path) -> Path:
    pickled(folder).rename(weights(folder).with_suffix(".bin"))
    weights(folder).unlink()
    return folder


def nothing_known(folder: Path) -> Path:
    (folder / "readme").mkdir()
    return folder / "readme"


BROKEN: dict[str, tuple[Callable[[Path], Path], str]] = {
    "absent": (lambda folder: folder / "absent.safetensors", "There is no file or folder"),
    "a pickle": (pickled, "is a pickle and is refused"),
    "a pickle renamed to safetensors": (renamed(".safetensors"), "is a pickle and is refused"),
    "a pickle renamed to gguf": (renamed(".gguf"), "is a pickle and is refused"),
    "pickles alone in a part": (pickles_alone, "is a pickle and is refused"),
    "truncated": (cut, "is damaged: it is not a complete safetensors file"),
    "truncated in a folder": (cut_in_the_folder, "is damaged: it is not a complete safetensors file"),
    "empty": (emptied, "is damaged"),
    "an index without a shard": (without_a_shard, "diffusion_pytorch_model-00002-of-00003.safetensors"),
    "a folder without a shard": (folder_without_a_shard, "diffusion_pytorch_model-00002-of-00003.safetensors"),
    "a text": (lambda folder: folder / "model_index.json", "is not a file of weights"),
    "a folder of no model": (nothing_known, "No installed model family recognises"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_one_clear_error(
    tmp_path: Path, model: Path, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, words = BROKEN[case]
    path = spoil(copied(model, tmp_path / "model"))
    code, out, err = run(path, capture=capsys)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert words in err
    assert str(tmp_path) in err
    assert 1 < len(err.splitlines()) < 5


def test_what_a_file_is_its_content_says(tmp_path: Path, host: PluginHost) -> None:
    packed = write_sparse_gguf(tmp_path / "a.gguf", FLUX, "flux").rename(tmp_path / "a.safetensors")
    plain = write_sparse(tmp_path / "b.gguf", FLUX)
    assert inspect_model(host, packed).found.variants == inspect_model(host, plain).found.variants == ("schnell",)
    assert inspect_model(host, packed).found.dtypes == ("Q8_0",)


LOADED = """
import contextlib, sys
import latentry._cli as c
with contextlib.suppress(SystemExit):
    c.main(["inspect", {path!r}])
print(len(sys.modules), *(name for name in ("torch", "diffusers", "transformers") if name in sys.modules))
"""


def modules(path: Path) -> list[str]:
    done = subprocess.run([sys.executable, "-c", LOADED.format(path=str(path))], capture_output=True, text=True)
    assert "is a model of" in done.stdout, done.stderr
    return done.stdout.splitlines()[-1].split()


@pytest.mark.parametrize("form", ["folder", "safetensors", "gguf"])
def test_inspecting_imports_nothing_heavy(tmp_path: Path, model: Path, form: str) -> None:
    """Counts, for they do not waver as times do."""
    files: dict[str, Callable[[], Any]] = {
        "folder": lambda: model,
        "safetensors": lambda: write_sparse(tmp_path / "flux.safetensors", FLUX),
        "gguf": lambda: write_sparse_gguf(tmp_path / "flux.gguf", FLUX, "flux"),
    }
    number, *heavy = modules(files[form]())
    assert heavy == []
    assert int(number) < 650


def test_an_installed_model_is_found_by_its_name() -> None:
    host = PluginHost()
    for name in host.checkpoints:
        spec = host.checkpoints[name]
        seen = inspect_model(host, Path(name))
        assert (seen.family, seen.found.variants) == (spec.family, (spec.variant,))
        assert seen.path == Path(host.checkpoints.load(name)())


def test_a_shipped_model_is_recognised_as_what_its_record_says(host: PluginHost) -> None:
    records = [(name, host.checkpoints[name]) for name in host.checkpoints]
    assert {spec.family.partition(":")[2] for _, spec in records} == {"sd", "sdxl", "sd3", "flux", "z-image"}
    for name, spec in records:
        found = locate(host, str(host.checkpoints.load(name)()), None)
        assert (found.family, found.variant.name) == (spec.family, spec.variant)
