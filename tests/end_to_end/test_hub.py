"""Models of the Hub, with a server on this machine in its place: what is fetched, what is recorded, what fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from support.commandline import fresh
from support.hub import Repository, StandIn, ask_only, stand_in
from support.toy import PLUGIN, toy_host, write_toy

from latentry import Engine, GenerationRequest, ModelError, OptionError, PluginHost, ProgressEvent, Recipe, read_recipe

NAME = "someone/toy"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """With one toy."""
    with stand_in() as hub:
        hub.add(NAME, write_toy(tmp_path / "toy"))
        ask_only(hub, tmp_path / "cache", monkeypatch)
        yield hub


@pytest.fixture(scope="module")
def engine() -> Engine:
    """Of the toys."""
    return Engine(toy_host(load=("latentry", "latentry-hub")))


def request(**wanted: Any) -> GenerationRequest:
    return GenerationRequest(**{"prompt": "a", "model": NAME, "seed": 3, **wanted})


def test_a_model_is_fetched_once_and_its_commit_recorded(engine: Engine, hub: StandIn) -> None:
    commit = hub.repositories[NAME].of("main")
    first = engine.prepare(request()).request
    assert (first.model, first.revision) == (NAME, commit)
    fetched = hub.downloads()
    assert fetched == ["toy.json"]
    engine.prepare(request())
    assert hub.downloads() == fetched


def test_a_picture_is_made_again_of_the_same_commit(engine: Engine, hub: StandIn, tmp_path: Path) -> None:
    made = engine.generate(request())
    recipe = Recipe.model_validate_json(made.recipes[0].model_dump_json())
    hub.add(NAME, write_toy(tmp_path / "toy", pale=0.2))
    again = engine.reproduce(recipe)
    assert torch.equal(again.latents, made.latents)
    assert again.recipes == made.recipes
    assert not torch.equal(engine.generate(request()).latents, made.latents)  # the newest is another


@pytest.mark.parametrize("spelling", ["option", "name"])
def test_a_branch_a_tag_or_a_commit_can_be_asked_for(
    engine: Engine, hub: StandIn, tmp_path: Path, spelling: str
) -> None:
    repository = hub.repositories[NAME]
    old = repository.of("main")
    assert old is not None
    repository.revisions["v1"] = old
    hub.add(NAME, write_toy(tmp_path / "toy", pale=0.2))
    for revision in ("v1", old):
        wanted = {"revision": revision} if spelling == "option" else {"model": f"{NAME}@{revision}"}
        assert engine.prepare(request(**wanted)).request.revision == old
    assert engine.prepare(request()).request.revision == repository.of("main") != old


def test_two_revisions_are_refused(engine: Engine, hub: StandIn) -> None:
    with pytest.raises(OptionError, match="ask for two revisions"):
        engine.prepare(request(model=f"{NAME}@v1", revision="v2"))
    assert hub.asked == []


def test_a_revision_of_a_folder_is_refused(engine: Engine, hub: StandIn, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="can only be given for a model that comes from a model source") as caught:
        engine.prepare(request(model=str(tmp_path / "toy"), revision="v1"))
    assert "is on this machine" in caught.value.why
    assert hub.asked == []


def test_a_folder_here_goes_before_a_repository(
    engine: Engine, hub: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_toy(tmp_path / NAME)
    assert engine.prepare(request()).request.model == str(tmp_path / NAME)
    assert hub.asked == []


def test_offline_the_cache_is_all_there_is(engine: Engine, hub: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    with pytest.raises(ModelError, match=f"{NAME} is not in the Hub's cache, or only in part") as caught:
        engine.prepare(request(offline=True))
    assert constants.HF_HUB_CACHE in caught.value.why
    assert hub.asked == []
    made = engine.generate(request())
    hub.asked.clear()
    assert torch.equal(engine.generate(request(offline=True)).latents, made.latents)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert engine.generate(request()).recipes == made.recipes  # that it was offline is no part of the picture
    with pytest.raises(ModelError, match="at v9 is not in the Hub's cache"):
        engine.prepare(request(revision="v9"))
    assert hub.asked == []


def test_a_whole_commit_in_the_cache_needs_no_network(
    engine: Engine, hub: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    made = engine.generate(request())
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nothing answers there
    assert engine.reproduce(made.recipes[0]).recipes == made.recipes
    with pytest.raises(ModelError, match=f"{NAME} cannot be downloaded from the Hub") as caught:
        engine.prepare(request())
    assert "http://127.0.0.1:9" in caught.value.why
    assert "offline" in caught.value.remedy


def test_what_the_hub_does_not_have(engine: Engine, hub: StandIn) -> None:
    with pytest.raises(ModelError, match="There is no model 'someone/tyo'") as caught:
        engine.prepare(request(model="someone/tyo"))
    assert hub.address in caught.value.why
    with pytest.raises(ModelError, match="has no revision 'v9'"):
        engine.prepare(request(revision="v9"))
    with pytest.raises(ModelError, match=r"There is no model 'someone/toy/big\.gguf'"):
        engine.prepare(request(model=f"{NAME}/big.gguf"))
    hub.down = True
    with pytest.raises(ModelError, match="cannot be downloaded from the Hub") as caught:
        engine.prepare(request())
    assert "503" in caught.value.why


def test_a_gated_repository_says_where_to_ask(engine: Engine, hub: StandIn) -> None:
    hub.repositories[NAME].gated = True
    with pytest.raises(ModelError, match=f"{NAME} is gated") as caught:
        engine.prepare(request())
    assert f"{hub.address}/{NAME}" in caught.value.remedy
    assert "hf auth login" in caught.value.remedy


def pipeline(*parts: str) -> bytes:
    return json.dumps({"_class_name": "Toy", **{part: ["toys", "Toy"] for part in parts}}).encode()


def test_of_a_pipeline_only_what_is_used_is_fetched(engine: Engine, hub: StandIn) -> None:
    """Never pickles, no second precision, nothing that the index does not name."""
    used = {
        "toy.json": b'{"kind": "vp"}',
        "model_index.json": pipeline("net", "words", "tokenizer", "safety_checker"),
        "net/config.json": b"{}",
        "net/diffusion_pytorch_model.safetensors": weights(),
        "words/model.fp16.safetensors": weights(3),  # there is no other
        "tokenizer/merges.txt": b"a b",
        "tokenizer/spiece.model": b"ab",
    }
    useless = [
        "toy-pruned.safetensors",
        "toy.ckpt",
        "picture.png",
        ".gitattributes",
        "net/diffusion_pytorch_model.bin",
        "net/diffusion_pytorch_model.fp16.safetensors",
        "net/diffusion_pytorch_model.fp16-00001-of-00002.safetensors",
        "net_1_0/diffusion_pytorch_model.safetensors",
        "words/model.onnx",
        "safety_checker/model.safetensors",
    ]
    hub.repositories[NAME] = Repository()
    hub.repositories[NAME].commit(used | {name: name.encode() for name in useless})
    engine.prepare(request())
    assert sorted(hub.downloads()) == sorted(used)


def weights(size: int = 2) -> bytes:
    from safetensors.torch import save

    return save({"x": torch.zeros(size)})


def test_a_file_is_asked_for_by_its_name(engine: Engine, hub: StandIn) -> None:
    hub.repositories["someone/files"] = Repository()
    hub.repositories["someone/files"].commit({"a-Q4_0.gguf": b"GGUF", "sub/b.safetensors": weights(), "c.ckpt": b"x"})
    with pytest.raises(ModelError, match="has 2 files of weights") as caught:
        engine.prepare(request(model="someone/files"))
    assert "someone/files/a-Q4_0.gguf" in caught.value.remedy
    assert hub.downloads() == []
    with pytest.raises(ModelError, match=r"sub/b\.safetensors is not a model that an installed family recognises"):
        engine.prepare(request(model="someone/files/sub/b.safetensors"))
    assert hub.downloads() == ["sub/b.safetensors"]
    with pytest.raises(ModelError, match=r"There is no model 'someone/files/c\.ckpt'"):
        engine.prepare(request(model="someone/files/c.ckpt"))


def test_parts_and_tokenizers_come_from_the_hub_too(engine: Engine, hub: StandIn, tmp_path: Path) -> None:
    hub.repositories["someone/vae"] = Repository()
    vae_files = {"config.json": b"[]", "model.safetensors": weights(3), "the-same.vae.safetensors": weights(4)}
    vae = hub.repositories["someone/vae"].commit(vae_files)
    hub.repositories["someone/words"] = Repository()
    words = hub.repositories["someone/words"].commit({"tokenizer/vocab.json": b"{}", "model.safetensors": weights()})
    asked = request(model=str(tmp_path / "toy"), vae="someone/vae", tokenizer="someone/words", config="someone/words")
    setup = engine.prepare(asked)
    assert setup.request.vae == f"someone/vae@{vae}"
    assert setup.request.tokenizer == setup.request.config == f"someone/words@{words}"
    assert sorted(hub.downloads()) == ["config.json", "model.safetensors", "tokenizer/vocab.json"]
    assert engine.prepare(setup.request).located == setup.located


def test_a_refiner_is_pinned_by_its_name(engine: Engine, hub: StandIn, tmp_path: Path) -> None:
    commit = hub.repositories[NAME].of("main")
    setup = engine.prepare(request(model=str(tmp_path / "toy"), refiner=NAME))
    assert setup.request.refiner == f"{NAME}@{commit}"
    hub.add(NAME, write_toy(tmp_path / "newer", pale=0.2))
    assert engine.prepare(setup.request).request == setup.request


def test_a_download_is_followed(engine: Engine, hub: StandIn, tmp_path: Path) -> None:
    (tmp_path / "toy" / "net").mkdir()
    (tmp_path / "toy" / "net" / "config.json").write_text("{}")
    (tmp_path / "toy" / "net" / "model.safetensors").write_bytes(weights(1000))
    hub.add(NAME, tmp_path / "toy")
    events: list[ProgressEvent] = []
    engine.prepare(request(), progress=events.append)
    told = [event.text for event in events]
    assert {event.stage for event in events} == {"load"}
    assert told[0] == f"Asking the Hub for {NAME}"
    assert told[1].startswith(f"Downloading {NAME}: ")
    shares = [int(text.split(": ")[1].split(" %")[0]) for text in told if "%" in text]
    assert shares == sorted(shares)
    assert shares[-1] == 100
    events.clear()
    engine.prepare(request(), progress=events.append)
    assert [event.text for event in events] == [f"Asking the Hub for {NAME}"]


def test_on_the_command_line(hub: StandIn, tmp_path: Path) -> None:
    """Another Python knows of the stand-in by ``HF_ENDPOINT``, as it would know of a mirror."""
    commit = hub.repositories[NAME].of("main")
    online = {"HF_ENDPOINT": hub.address, "HF_HUB_CACHE": str(tmp_path / "own"), "HF_HUB_OFFLINE": "0"}
    draw = ("generate", "a star", "--model", NAME, "--plugin-dir", PLUGIN)
    done = fresh(*draw, "--seed", 1, folder=tmp_path, environment=online)
    assert (done.code, done.out.splitlines()[-1]) == (0, "picture.png"), done.err
    assert done.err.splitlines()[0] == f"Asking the Hub for {NAME}"
    assert read_recipe(tmp_path / "picture.png").request.revision == commit
    hub.asked.clear()
    again = ("generate", "--from", "picture.png", "--output", "again.png", "--plugin-dir", PLUGIN, "--quiet")
    done = fresh(*again, "--offline", folder=tmp_path, environment=online)
    assert (done.code, done.err) == (0, "")
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "picture.png").read_bytes()
    assert hub.asked == []


def test_a_pipeline_draws_as_its_folder_does(hub: StandIn, tiny: Path) -> None:
    hub.add("someone/tiny", tiny)
    engine = Engine(PluginHost(load=("latentry", "latentry-sd", "latentry-ddim", "latentry-hub")))
    there = engine.generate(request(model="someone/tiny", steps=1))
    here = engine.generate(request(model=str(tiny), steps=1))
    assert torch.equal(there.latents, here.latents)
    assert there.recipes[0].model == here.recipes[0].model  # the same fingerprint
