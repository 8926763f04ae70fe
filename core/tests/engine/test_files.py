"""Model files: how they are found, what is refused, and how the same files are recognised again."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import torch
from support.toy import PLUGIN, toy_host, write_toy, write_toy_file

from latentry import (
    Engine,
    GenerationRequest,
    ModelError,
    ModelFiles,
    OptionError,
    PluginError,
    PluginHost,
    Recipe,
    RecipeError,
)
from latentry._files._finding._access import Access
from latentry._files._finding._locate import Located, locate
from latentry._files._finding._parts import NO_PARTS, PartSources
from latentry._files._finding._repository import own_files
from latentry._files._fingerprint import Fingerprints
from latentry._files._safety import check_weights
from latentry.models import fingerprint, model_files

HOST = toy_host()


def located(model: Path | str, variant: str | None = None, parts: PartSources = NO_PARTS) -> Located:
    return locate(HOST, str(model), variant, parts)


def weights(path: Path, value: float = 0.0, size: int = 4) -> Path:
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"x": torch.full((size,), value)}, path)
    return path


def sharded(folder: Path, *names: str) -> Path:
    for name in names:
        weights(folder / name)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {f"x{number}": name for number, name in enumerate(names)}}))
    return index


def test_one_file_is_a_model(tmp_path: Path) -> None:
    file = write_toy_file(tmp_path / "toy.safetensors")
    found = located(file)
    assert found.files == ModelFiles(file)
    assert (found.name, found.family, found.variant.name) == (str(file), "toy:toy-vp", "small")


def test_a_relative_path_is_recorded_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_toy_file(tmp_path / "toy.safetensors")
    monkeypatch.setenv("HOME", str(tmp_path))
    for text in ("toy.safetensors", "./toy.safetensors", "~/toy.safetensors"):
        assert located(text).name == str(tmp_path / "toy.safetensors")


def test_a_link_keeps_its_name_and_a_linked_folder_is_followed(tmp_path: Path) -> None:
    """The hub's cache names what links lead to by their hash."""
    write_toy_file(tmp_path / "blob.safetensors").rename(tmp_path / "0ff1ce")
    link = tmp_path / "toy.safetensors"
    link.symlink_to(tmp_path / "0ff1ce")
    assert located(link).files.path == link
    (tmp_path / "folder").symlink_to(write_toy(tmp_path / "toy"))
    assert located(tmp_path / "folder").files.path == tmp_path / "toy"


def test_a_linked_pickle_is_one(tmp_path: Path) -> None:
    (tmp_path / "model.ckpt").write_bytes(b"\x80\x04 and so on")
    link = tmp_path / "model.safetensors"
    link.symlink_to(tmp_path / "model.ckpt")
    with pytest.raises(ModelError, match=r"model\.safetensors is a pickle"):
        located(link)


def test_parts_become_files_of_the_model(tmp_path: Path) -> None:
    model, vae = write_toy_file(tmp_path / "toy.safetensors"), weights(tmp_path / "vae.safetensors")
    clip, t5 = weights(tmp_path / "clip.sft"), sharded(tmp_path / "t5", "a.safetensors", "b.safetensors")
    words, config = tmp_path / "words", tmp_path / "config"
    words.mkdir()
    config.mkdir()
    found = located(model, None, PartSources(str(vae), (str(clip), str(t5)), str(words), str(config)))
    parts = (("vae", vae), ("text-encoder", clip), ("text-encoder", t5), ("tokenizer", words))
    assert found.files == ModelFiles(model, parts, config)


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"model": ""}, "There is no model ''"),
        ({"model": "x" * 300}, "There is no model 'xxx"),
        ({"model": "shapes-sdxl"}, "latentry-shapes-sdxl provides 'shapes-sdxl'"),
        ({"vae": ""}, "There is no autoencoder ''"),
        ({"config": ""}, "There is no configuration folder ''"),
        ({"vae": "absent.safetensors"}, "There is no autoencoder 'absent.safetensors'"),
        ({"text_encoders": ("absent",)}, "There is no text encoder 'absent'"),
        ({"tokenizer": "absent"}, "There is no tokenizer 'absent'"),
        ({"config": "absent"}, "There is no configuration folder 'absent'"),
        ({"vae": "part.bin"}, r"part\.bin is a pickle"),
        ({"text_encoders": ("text.txt",)}, r"text\.txt is not a file of weights"),
        ({"tokenizer": "text.txt"}, r"tokenizer \'text\.txt\' is a file, not a folder"),
        ({"config": "text.txt"}, r"configuration folder \'text\.txt\' is a file, not a folder"),
        ({"vae": "short.safetensors"}, r"short\.safetensors is damaged"),
    ],
    ids=str,
)
def test_what_does_not_exist_or_is_unsafe_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: dict[str, Any], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_toy(tmp_path / "toy")
    for name in ("part.bin", "text.txt", "short.safetensors"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ModelError, match=words) as caught:
        Engine(HOST).prepare(GenerationRequest(**{"prompt": "a", "model": "toy", **named}))
    assert [caught.value.field] == list(named)


def test_a_revision_is_for_model_sources_alone(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="A revision, 'v1', can only be given for a model that"):
        Engine(HOST).prepare(GenerationRequest(prompt="a", model=str(write_toy(tmp_path / "toy")), revision="v1"))


def test_without_a_model_source_it_says_what_to_install() -> None:
    with pytest.raises(ModelError, match="There is no model 'owner/name'") as caught:
        located("owner/name")
    assert "No model source is installed: pip install ./plugins/latentry-hub in" in caught.value.remedy
    assert caught.value.field == "model"


SHELF = """
from pathlib import Path
from latentry import ModelSourceSpec, hookimpl
from latentry.models import ResolvedPath

@hookimpl
def latentry_model_sources():
    yield ModelSourceSpec(name="{name}", target="{name}:Shelf", summary="For a test.", names="shelf:NAME")

class Shelf:
    def claims(self, text):
        if text == "shelf:crash":
            raise ZeroDivisionError
        return text.startswith("shelf:")

    def fetch(self, text, options):
        options.report("fetching " + text)
        return ResolvedPath(Path({folder!r}) / text[6:], text, f"{{options.weights}}-{{options.revision}}")
"""


def shelf(folder: Path, *names: str) -> PluginHost:
    """A host with model sources whose names begin with ``shelf:``."""
    for name in names:
        (folder / f"{name}.py").write_text(SHELF.format(name=name, folder=str(folder)))
    return PluginHost(load=("latentry",), plugin_dirs=[PLUGIN, *(folder / f"{name}.py" for name in names)], strict=True)


def test_an_installed_source_is_asked(tmp_path: Path) -> None:
    write_toy(tmp_path / "toy")
    lines: list[str] = []
    access = Access(revision="v1", report=lines.append)
    found = locate(shelf(tmp_path, "one"), "shelf:toy", None, PartSources(tokenizer="shelf:toy"), access)
    assert (found.files.path, found.pinned) == (tmp_path / "toy", "shelf:toy@True-v1")
    assert found.parts.tokenizer == "shelf:toy@False-None"  # the revision is the model's alone
    assert lines == ["fetching shelf:toy"] * 2
    with pytest.raises(ModelError, match="There is no model 'owner/name'") as caught:
        locate(shelf(tmp_path, "one"), "owner/name", None)
    assert "or shelf:NAME." in caught.value.remedy


def test_a_source_that_fails_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"The model source 'one' of .*one\.py failed") as caught:
        locate(shelf(tmp_path, "one"), "shelf:crash", None)
    assert "ZeroDivisionError" in caught.value.why
    assert "one.py:13, in claims" in caught.value.why


def test_what_the_hosts_report_raises_cancels_a_fetch(tmp_path: Path) -> None:
    class Cancel(Exception):
        """The host's own."""

    def cancel(line: str) -> None:
        raise Cancel

    with pytest.raises(Cancel):
        locate(shelf(tmp_path, "one"), "shelf:toy", None, access=Access(report=cancel))


def test_two_sources_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="several model sources: one, two"):
        locate(shelf(tmp_path, "one", "two"), "shelf:toy", None)


@pytest.mark.parametrize(
    ("kind", "label", "remedy"),
    [
        ("lora", "a LoRA", "as a LoRA"),
        ("lora", "a LoRA for Stable Diffusion XL", "as a LoRA"),
        ("autoencoder", "an autoencoder", "as the autoencoder"),
        ("text-encoder", "a text encoder", "as a text encoder"),
        ("other", "a LoRA only by its label", "Give a model"),
    ],
)
def test_the_kind_of_other_files_decides_the_remedy(tmp_path: Path, kind: str, label: str, remedy: str) -> None:
    file = write_toy_file(tmp_path / "file.safetensors", **{"is": kind, "label": label, "variants": []})
    with pytest.raises(ModelError, match=f"is {label}, not a model") as caught:
        located(file)
    assert "it says so" in caught.value.why
    assert remedy in caught.value.remedy


def test_a_variant_that_the_files_are_not_is_refused(tmp_path: Path) -> None:
    folder = write_toy(tmp_path / "toy", variants=["small", "drawer"])
    assert located(folder, "drawer").variant.name == "drawer"
    with pytest.raises(ModelError, match="is not of the variant painter: it is small or drawer") as caught:
        located(folder, "painter")
    assert "it says so" in caught.value.why


def test_files_that_no_family_recognises_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a model that an installed family recognises") as caught:
        located(weights(tmp_path / "x.safetensors"))
    assert "toy-flow, toy-vp" in caught.value.why


def test_shards_are_all_there(tmp_path: Path) -> None:
    index = sharded(tmp_path / "part", "a.safetensors", "b.safetensors", "c.safetensors")
    check_weights(index)
    check_weights(tmp_path / "part")
    check_weights(tmp_path)
    (tmp_path / "part" / "b.safetensors").unlink()
    for path in (index, tmp_path / "part", tmp_path):
        with pytest.raises(ModelError, match=r"part lacks b\.safetensors") as caught:
            check_weights(path)
        assert "names 3 shards; 2 of them exist" in caught.value.why


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"weight_map": []}',
        '{"weight_map": {"x": 3}}',
        '{"weight_map": {"x": "../a.safetensors"}}',
        '{"weight_map": {"x": "/a.safetensors"}}',
    ],
)
def test_an_invalid_index_is_refused(tmp_path: Path, content: str) -> None:
    index = sharded(tmp_path, "a.safetensors")
    index.write_text(content)
    with pytest.raises(ModelError, match="is not the index of a sharded file"):
        check_weights(index)


def test_a_header_may_begin_as_pickles_do(tmp_path: Path) -> None:
    """The length of a header of 640 bytes is 80 02, which is how a pickle of protocol 2 begins."""
    header = json.dumps({"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode().ljust(640)
    file = tmp_path / "model.safetensors"
    file.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    assert file.read_bytes().startswith(b"\x80\x02")
    check_weights(file)


def test_the_first_bytes_say_what_a_file_is(tmp_path: Path) -> None:
    check_weights(weights(tmp_path / "really.safetensors").rename(tmp_path / "called.gguf"))
    (tmp_path / "called.safetensors").write_bytes(b"GGUF and so on")
    check_weights(tmp_path / "called.safetensors")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:46\nsize 9\n", "a pointer of Git LFS"),
        (b"<!DOCTYPE html><html><head><title>Sign in</title>", "a web page"),
        (b"<html><body>Not found</body></html>", "a web page"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a picture"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "a picture"),
    ],
)
@pytest.mark.parametrize("name", ["model.safetensors", "model.gguf"])
def test_a_file_of_another_kind_is_named_as_such(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match="does not contain weights") as caught:
        check_weights(tmp_path / name)
    assert words in caught.value.why


def test_pickles_next_to_weights_are_ignored(tmp_path: Path) -> None:
    weights(tmp_path / "unet" / "model.safetensors")
    (tmp_path / "unet" / "model.bin").write_bytes(b"x")
    (tmp_path / "whole.ckpt").write_bytes(b"x")
    check_weights(tmp_path)
    (tmp_path / "unet" / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"model\.bin is a pickle"):
        check_weights(tmp_path)


def test_files_that_are_not_the_pipelines_are_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text('{"unet": ["diffusers", "UNet"], "gone": [null, null], "_x": "y"}')
    weights(tmp_path / "unet" / "model.safetensors")
    (tmp_path / "old").mkdir()
    for name in ("pruned.safetensors", "old/model.safetensors", "unet/model.fp16.safetensors"):
        (tmp_path / name).write_bytes(b"x")
    check_weights(tmp_path)
    before = fingerprint(ModelFiles(tmp_path))
    (tmp_path / "pruned.safetensors").write_bytes(b"xx")
    assert fingerprint(ModelFiles(tmp_path)) == before
    weights(tmp_path / "unet" / "model.safetensors", 1.0)
    assert fingerprint(ModelFiles(tmp_path)) != before


def test_a_fingerprint_is_of_the_content_and_not_of_the_place(tmp_path: Path) -> None:
    one, copy = weights(tmp_path / "one.safetensors"), weights(tmp_path / "there" / "copy.safetensors")
    other = weights(tmp_path / "other.safetensors", 1.0)
    assert fingerprint(ModelFiles(one)) == fingerprint(ModelFiles(copy)) != fingerprint(ModelFiles(other))
    indices = [sharded(tmp_path / name, "a.safetensors", "b.safetensors") for name in ("here", "elsewhere")]
    assert len({fingerprint(ModelFiles(index)) for index in indices}) == 1
    weights(tmp_path / "here" / "b.safetensors", 1.0)
    assert len({fingerprint(ModelFiles(index)) for index in indices}) == 2


def test_a_fingerprint_counts_every_part_and_its_role(tmp_path: Path) -> None:
    a, b, c = (weights(tmp_path / f"{value}.safetensors", value) for value in (1.0, 2.0, 3.0))
    files = [
        ModelFiles(a),
        ModelFiles(a, (("vae", b),)),
        ModelFiles(a, (("text-encoder", b),)),
        ModelFiles(a, (("vae", c),)),
        ModelFiles(a, (("text-encoder", b), ("text-encoder", c))),
        ModelFiles(a, (("vae", b),), config=tmp_path),
        ModelFiles(b, (("vae", a),)),
    ]
    assert len({fingerprint(each) for each in files}) == len(files)
    turned = ModelFiles(a, (("text-encoder", c), ("text-encoder", b)))
    assert fingerprint(turned) == fingerprint(files[4])


def test_a_fingerprint_reads_both_ends_of_large_files(tmp_path: Path) -> None:
    """Of three megabytes the first and the last count, and the length."""
    file = weights(tmp_path / "large.safetensors", size=3 << 18)
    before, content = fingerprint(ModelFiles(file)), file.read_bytes()
    for at, counts in ((1 << 19, True), (3 << 19, False), ((3 << 20) - 9, True)):
        changed = bytearray(content)
        changed[at] = 1
        file.write_bytes(changed)
        assert (fingerprint(ModelFiles(file)) != before) is counts


def made_of_parts(engine: Engine, folder: Path) -> tuple[Recipe, torch.Tensor, Path]:
    vae = weights(folder / "vae.safetensors")
    config = folder / "config"
    config.mkdir()
    (config / "model_index.json").write_text("{}")
    model = write_toy_file(folder / "toy.safetensors")
    request = GenerationRequest(prompt="a", model=str(model), seed=1, vae=str(vae), config=str(config))
    result = engine.generate(request)
    return Recipe.model_validate_json(result.recipes[0].model_dump_json()), result.latents, vae


def test_a_picture_of_a_model_of_parts_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    engine = Engine(HOST)
    recipe, latents, vae = made_of_parts(engine, tmp_path)
    assert recipe.request.vae == str(vae)
    assert torch.equal(engine.reproduce(recipe).latents, latents)
    assert recipe.model == engine.prepare(recipe.request).located.fingerprint


@pytest.mark.parametrize("part", ["vae.safetensors", "config/model_index.json"])
def test_a_part_that_was_replaced_is_noticed(tmp_path: Path, part: str) -> None:
    engine = Engine(HOST)
    recipe, latents, _ = made_of_parts(engine, tmp_path)
    if part.startswith("vae"):
        weights(tmp_path / part, 1.0)
    else:
        (tmp_path / part).write_text('{"changed": true}')
    with pytest.raises(RecipeError, match="not the one that the picture was made with") as caught:
        engine.reproduce(recipe)
    assert "vae.safetensors" in caught.value.what
    assert torch.equal(engine.reproduce(recipe, anyway=True).latents, latents)


def test_other_parts_make_another_model_in_memory(tmp_path: Path) -> None:
    engine = Engine(HOST)
    recipe, _, vae = made_of_parts(engine, tmp_path)
    one = engine.load(engine.prepare(recipe.request))
    assert engine.load(engine.prepare(recipe.request)) is one
    other = str(vae.rename(tmp_path / "other.safetensors"))
    assert engine.load(engine.prepare(recipe.request.model_copy(update={"vae": other}))) is not one


def test_fingerprints_are_kept_until_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same as ``fingerprint`` after every change, also one that keeps the size; without one, nothing is opened."""
    folder = write_toy(tmp_path / "model")
    file = weights(folder / "unet" / "model.safetensors", 1.0)
    opened: list[Path] = []
    own = Path.open
    monkeypatch.setattr(
        Path, "open", lambda self, *given, **options: opened.append(self) or own(self, *given, **options)
    )
    kept, files, found = Fingerprints(), ModelFiles(folder), []

    def rewritten() -> None:
        before, content = file.stat(), file.read_bytes()
        file.write_bytes(content[:-1] + b"!")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 10))
        after = file.stat()
        assert (after.st_size, after.st_ino) == (before.st_size, before.st_ino)

    def replaced() -> None:
        before, other = file.stat(), weights(tmp_path / "other.safetensors", 3.0)
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
        other.replace(file)

    changes: list[Callable[[], object]] = [
        lambda: None,
        rewritten,
        replaced,
        lambda: weights(folder / "vae" / "model.safetensors"),
        lambda: (folder / "vae" / "model.safetensors").unlink(),
    ]
    for change in changes:
        change()
        opened.clear()
        found.append(kept(files))
        assert opened
        assert found[-1] == fingerprint(files)
        opened.clear()
        assert kept(files) == found[-1]
        assert opened == []
    assert found[4] == found[2]
    assert len(set(found)) == 4


def test_a_second_recipe_hashes_no_file(host: PluginHost, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(host)
    request = GenerationRequest(prompt="a", model=model, steps=2, seed=1, count=3)
    first, expected = engine.generate(request).recipes, fingerprint(ModelFiles(Path(model)))
    monkeypatch.setattr("latentry._files._fingerprint._digest", None)
    assert engine.generate(request).recipes == first
    assert {recipe.model for recipe in first} == {expected}


def test_the_files_of_a_model_are_those_of_their_paths(tmp_path: Path) -> None:
    """Names as strings, judged by the parts and suffixes that ``pathlib`` sees in them."""
    names = ["config.json", ".hidden.json", "unet/a.safetensors", "unet/.b.json", "unet/c.d/e.json", "v.1/x.txt", "no"]
    names += ["unet/model.fp16.safetensors", "unet/model.safetensors", "te/model.fp16.safetensors", ".git/config.json"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    seen = [PurePosixPath(name) for name in names if not any(part.startswith(".") for part in Path(name).parts)]
    texts = [path for path in seen if path.suffix in (".json", ".txt")]
    weights = [PurePosixPath("te/model.fp16.safetensors"), PurePosixPath("unet/model.safetensors")]
    expected = sorted(str(path) for path in (*texts, *weights))
    assert model_files(names, None) == expected
    assert [file.relative_to(tmp_path).as_posix() for file in own_files(tmp_path)] == expected
