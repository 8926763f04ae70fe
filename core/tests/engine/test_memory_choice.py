"""Tiles, dtypes by part, and parts left out: the request decides before the host's policy."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch
from support.toy import write_toy

from latentry import (
    Engine,
    GenerationRequest,
    IncompatibleError,
    MemoryPolicy,
    OptionError,
    PluginHost,
    ProgressEvent,
)
from latentry._generate._kept._shared_setting import SharedSetting
from latentry._memory._tiling import TILE, VALUES, choose_tile, memory_of
from latentry._resolve._memory import about_offload, choose_memory

CPU = torch.device("cpu")
PARTS = ("text_encoder", "unet", "vae")


@pytest.mark.parametrize(("asked", "side"), [(False, None), (True, TILE), (96, 96), (32, 32)])
def test_tiles_are_as_requested(asked: bool | int, side: int | None) -> None:
    assert choose_tile(asked, 10**9, 32, size=4, memory=1) == side


@pytest.mark.parametrize("asked", [0, -32, 16, 48, 100])
def test_impossible_tiles_are_refused(asked: int) -> None:
    with pytest.raises(OptionError, match=f"Tiles of {asked} pixels") as caught:
        choose_tile(asked, 64, 32, size=4, memory=None)
    assert "32" in caught.value.remedy


def test_auto_tiles_where_half_of_the_memory_is_too_little() -> None:
    """Eight gigabytes take a picture of 1024 × 1024 in float32 whole, four of them in tiles, or two in bfloat16."""
    memory, picture = 8 * 2**30, 1024**2
    assert 2 * VALUES * 4 * picture < memory
    assert choose_tile("auto", picture, 32, size=4, memory=memory) is None
    assert choose_tile("auto", 2 * picture, 32, size=4, memory=memory) == TILE
    assert choose_tile("auto", 2 * picture, 32, size=2, memory=memory) is None
    edge = memory // (2 * VALUES * 4)
    assert choose_tile("auto", edge, 32, size=4, memory=memory) is None
    assert choose_tile("auto", edge + 1, 32, size=4, memory=memory) == TILE
    assert choose_tile("auto", 10**12, 32, size=4, memory=None) is None


def test_the_memory_of_the_cpu_is_the_machines() -> None:
    assert (memory_of(CPU) or 2**30) >= 2**30
    assert memory_of(torch.device("meta")) is None


def chosen(policy: MemoryPolicy, dtype: torch.dtype = torch.float32, **asked: Any) -> Any:
    request = GenerationRequest(prompt="a", **asked)
    return choose_memory(
        policy,
        parts=PARTS,
        dtypes=request.dtypes,
        tiling=request.vae_tiling,
        slicing=request.vae_slicing,
        capture=request.capture,
        weights=request.weights,
        step_cache=False,
        size=(64, 64),
        latent_width=8,
        together=1,
        device=CPU,
        dtype=dtype,
    )


def test_the_request_comes_before_the_policy() -> None:
    given: dict[str, Any] = {"vae_tiling": 64, "vae_slicing": True, "dtypes": {"vae": "float32"}}
    given |= {"capture": "script", "weights": "plain"}
    policy = MemoryPolicy(**given)
    assert chosen(policy).decided == given
    own: dict[str, Any] = {"vae_tiling": False, "vae_slicing": False, "dtypes": {}, "capture": "off", "weights": "int8"}
    assert chosen(policy, **own).decided == own
    assert chosen(MemoryPolicy(), vae_tiling=32, dtypes={"unet": "bfloat16"}).dtypes == {"unet": torch.bfloat16}


def test_the_decided_fields_give_the_same_again() -> None:
    """Whatever another host's policy: it is part of the picture."""
    first = chosen(MemoryPolicy(vae_tiling=64, dtypes={"unet": "float16"}))
    again = chosen(MemoryPolicy(vae_slicing=True, dtypes={"vae": "bfloat16"}), **first.decided)
    assert again.decided == first.decided


@pytest.mark.parametrize("capture", ["script", "compile"])
def test_graphs_do_not_go_with_weights_in_fewer_bits(capture: Any) -> None:
    with pytest.raises(OptionError, match=f"captured by {capture} with int4 weights"):
        chosen(MemoryPolicy(capture=capture), weights="int4")
    assert chosen(MemoryPolicy(capture="auto"), weights="int4").capture == "off"
    assert chosen(MemoryPolicy(capture=capture, weights="int4"), weights="plain").capture == capture


@pytest.mark.parametrize("where", ["request", "policy"])
def test_a_family_that_cannot_keep_weights_in_fewer_bits_says_so(host: PluginHost, model: str, where: str) -> None:
    policy, asked = (MemoryPolicy(weights="int8"), {}) if where == "policy" else (MemoryPolicy(), {"weights": "int8"})
    with pytest.raises(OptionError, match="cannot be kept as int8") as caught:
        Engine(host, policy).prepare(GenerationRequest(prompt="a", model=model, **asked))
    assert caught.value.field == "weights"


@pytest.mark.parametrize("where", ["request", "policy"])
def test_an_unknown_part_is_refused_with_a_list_of_the_parts(where: str) -> None:
    wrong: dict[str, Any] = {"dtypes": {"transformer": "float16", "vae": "float16"}}
    policy, asked = (MemoryPolicy(**wrong), {}) if where == "policy" else (MemoryPolicy(), wrong)
    with pytest.raises(OptionError, match="no part 'transformer'") as caught:
        chosen(policy, **asked)
    assert "text_encoder, unet, vae" in caught.value.why
    assert "vae=float32" in caught.value.remedy
    assert caught.value.field == "dtypes"


def test_a_part_that_is_needed_cannot_be_left_out(engine: Engine, model: str) -> None:
    with pytest.raises(OptionError, match="needs vae and unet"):
        engine.prepare(GenerationRequest(prompt="a", model=model, without=("vae", "unet")))


def test_the_recipe_records_tiles_but_not_offload(host: PluginHost, model: str) -> None:
    policy = MemoryPolicy(offload="blocks", vae_tiling=64, vae_slicing=True)
    recipe = Engine(host, policy).generate(GenerationRequest(prompt="a", model=model, seed=1)).recipes[0]
    assert recipe.request.vae_tiling == 64
    assert recipe.request.vae_slicing is True
    assert "offload" not in recipe.model_dump_json()
    again = Engine(host).prepare(type(recipe).model_validate_json(recipe.model_dump_json()).request)
    assert (again.memory.tile, again.memory.slicing) == (64, True)


ANSWERS = {
    ("none", False, "cpu"): None,
    ("model", False, "cpu"): "offload",
    ("blocks", False, "cpu"): "offload",
    ("blocks", True, "cpu"): "offload",
    ("blocks", False, "mps"): None,
    ("blocks", True, "mps"): "prefetch",
    ("model", False, "cuda"): None,
    ("blocks", True, "cuda:1"): None,
}
"""What of a policy has no effect on a device."""


@pytest.mark.parametrize("given", ANSWERS, ids=str)
def test_an_offload_without_effect_on_the_device_is_told(given: tuple[Any, bool, str]) -> None:
    offload, prefetch, device = given
    told = list(about_offload(MemoryPolicy(offload=offload, prefetch=prefetch), torch.device(device)))
    field = ANSWERS[given]
    assert [note.partition(" has no effect here. ")[0] for note in told] == ([f"The option {field}"] if field else [])


def test_it_is_told_with_the_picture(host: PluginHost, model: str) -> None:
    wanted = GenerationRequest(prompt="a", model=model, seed=1, device="cpu")
    engine = Engine(host, MemoryPolicy(offload="blocks", prefetch=True))
    assert sum("offload has no effect here" in note for note in engine.generate(wanted).notes) == 1
    assert not any("no effect" in note for note in Engine(host).prepare(wanted).notes)


def test_a_thread_that_would_wait_for_itself_is_an_error() -> None:
    shared: SharedSetting[str] = SharedSetting()

    def take(wanted: str) -> str:
        with shared.hold(wanted, lambda: nullcontext(wanted)) as held:
            return held

    with shared.hold("one", lambda: nullcontext("one")):
        assert take("one") == "one"
        with pytest.raises(IncompatibleError, match="wait for it forever"):
            take("other")
        others: list[str] = []
        other = Thread(target=lambda: others.append(take("other")))
        other.start()
    other.join(timeout=60)
    assert others == ["other"]  # another thread did wait
    assert take("third") == "third"


def test_a_request_with_another_attention_from_within_a_request_is_refused(host: PluginHost, tmp_path: Path) -> None:
    engine, model = Engine(host), str(write_toy(tmp_path / "model"))
    wanted = GenerationRequest(prompt="a", model=model, seed=1, steps=4, attention="native")

    def again(event: ProgressEvent) -> None:
        if event.stage == "sample":
            engine.generate(wanted.model_copy(update={"attention": "able"}))

    with pytest.raises(IncompatibleError, match="wait for it forever") as caught:
        engine.generate(wanted, progress=again)
    assert "second engine" in caught.value.remedy
    within: list[Any] = []

    def same(event: ProgressEvent) -> None:
        if event.stage == "sample" and not within:
            within.append(None)
            within.append(engine.generate(wanted).latents)

    outer = engine.generate(wanted, progress=same).latents
    assert torch.equal(within[1], outer)
