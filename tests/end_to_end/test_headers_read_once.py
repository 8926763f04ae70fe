"""Every header is read once, by whichever family asks first: what detectors learn is kept with the files."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.models import copied, write_stable_diffusion
from support.sparse import write_sparse, write_sparse_shards

from latentry import Detection, ModelError, ModelFiles, PluginHost, inspect_model
from latentry._files._finding._locate import locate
from latentry_diffusers.files import read
from latentry_diffusers.recognise import kinds, recognise

SHAPES = {f"layer.{number}.weight": (3, 3) for number in range(6)}


@pytest.fixture(scope="module")
def host() -> PluginHost:
    return PluginHost()


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file was read, and looked through for what is not a model."""
    counted: Counter[str] = Counter()
    plain, judge = read._read_file, kinds.kind_of

    def reading(file: Path) -> Any:
        counted[f"{file.parent.name}/{file.name}"] += 1
        return plain(file)

    def judging(weights: Any) -> Any:
        counted["judged"] += 1
        return judge(weights)

    monkeypatch.setattr(read, "_read_file", reading)
    monkeypatch.setattr(recognise, "kind_of", judging)
    return counted


def test_inspect_reads_a_file_once_for_all_families(host: PluginHost, tmp_path: Path, reads: Counter[str]) -> None:
    assert len(host.families) >= 4
    with pytest.raises(ModelError, match="recognises"):
        inspect_model(host, write_sparse(tmp_path / "a.safetensors", SHAPES))
    assert reads == {f"{tmp_path.name}/a.safetensors": 1, "judged": 1}


def test_inspect_reads_each_shard_once(host: PluginHost, tmp_path: Path, reads: Counter[str]) -> None:
    index = write_sparse_shards(tmp_path, SHAPES)
    shards = [f"{tmp_path.name}/{file.name}" for file in tmp_path.glob("*.safetensors")]
    with pytest.raises(ModelError, match="recognises"):
        inspect_model(host, index)
    assert reads == {**dict.fromkeys(shards, 1), "judged": 1}
    assert len(shards) > 1


def test_a_checkpoint_is_opened_from_what_its_detection_read(
    host: PluginHost, tmp_path: Path, reads: Counter[str]
) -> None:
    model = copied(write_stable_diffusion(tmp_path / "model"), tmp_path / "copy")
    for number in range(2):  # what was read belongs to one look-up: files can have changed until the next
        located = locate(host, str(model), None)
        host.families.load(located.family)(located.files, located.variant.name)
        assert set(reads.values()) == {number + 1}, reads
    assert {name.split("/")[0] for name in reads} == {"unet", "vae", "text_encoder"}


def test_parts_given_apart_are_read_once(host: PluginHost, tmp_path: Path, reads: Counter[str]) -> None:
    model = write_stable_diffusion(tmp_path / "model")
    vae = copied(model / "vae", tmp_path / "other")
    (apart,) = vae.glob("*.safetensors")
    named = apart.rename(apart.with_name("mine.safetensors"))
    located = locate(host, str(model), None)
    reads.clear()
    files = replace(located.files, parts=(("vae", named),), config=model)
    open_checkpoint = host.families.load(located.family)
    for _ in range(2):
        open_checkpoint(files, located.variant.name)
    assert reads["other/mine.safetensors"] == 1


def test_what_was_found_is_not_part_of_what_the_files_are(tmp_path: Path) -> None:
    files, calls = ModelFiles(tmp_path), []

    def find() -> int:
        calls.append(1)
        return 7

    assert [files.once("seven", find) for _ in range(3)] == [7, 7, 7]
    assert calls == [1]
    assert files == ModelFiles(tmp_path)
    assert hash(files) == hash(ModelFiles(tmp_path))
    assert replace(files, without=("x",)).once("seven", lambda: 8) == 7
    assert ModelFiles(tmp_path).once("seven", lambda: 8) == 8


def test_what_fails_is_tried_again(tmp_path: Path) -> None:
    files = ModelFiles(tmp_path)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            files.once("x", lambda: 1 // 0)
    assert files.once("x", lambda: 1) == 1


def test_a_detector_that_reads_for_itself_still_works(host: PluginHost, tmp_path: Path) -> None:
    """Detectors are called as before, with the files alone."""
    from latentry_sd.detect import detect

    found = detect(ModelFiles(write_stable_diffusion(tmp_path / "model")))
    assert isinstance(found, Detection)
    assert found.variants == ("sd15",)
