"""Jobs whose LoRAs differ in their weights alone share passes; each has the picture that it has alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import torch
from support.toy import write_toy
from torch import Tensor

from latentry import Curve, Engine, GenerationRequest, PluginHost, ProgressEvent

LONG = 60.0
WEIGHTS = (0.5, -1.0, 0.0, 2.0, Curve.parse("0@0,1@1"))


def lora(folder: Path, name: str = "ink", parts: Sequence[str] = ("unet",), **about: Any) -> str:
    file = folder / f"{name}.safetensors"
    file.write_text(json.dumps({"parts": parts} | about))
    return str(file)


@pytest.fixture
def rows(tmp_path: Path) -> str:
    """A model that takes timesteps and weights for each row."""
    return str(write_toy(tmp_path / "rows", rows=True))


def requests(model: str, *files: str, weights: Sequence[Any] = WEIGHTS, **wanted: Any) -> list[GenerationRequest]:
    return [
        GenerationRequest(
            prompt="a",
            model=model,
            seed=seed,
            steps=4 + seed,
            scheduler="first",
            loras=tuple({"path": file, "weight": weight} for file in files),
            **wanted,
        )
        for seed, weight in enumerate(weights)
    ]


def drawn(engine: Engine, wanted: Sequence[GenerationRequest], *, meeting: bool = False) -> list[Tensor]:
    """The latents of jobs; all of them wait for one another before their first evaluation, where they are to meet."""
    barrier = Barrier(len(wanted))

    def meet(event: ProgressEvent) -> None:
        if meeting and event.stage == "encode" and event.done == 0:
            barrier.wait(LONG)

    jobs = [engine.submit(each, progress=meet) for each in wanted]
    return [job.result(LONG).latents for job in jobs]


def test_they_have_the_model_at_the_same_time_and_share_passes(host: PluginHost, rows: str, tmp_path: Path) -> None:
    wanted = requests(rows, lora(tmp_path, "one"), lora(tmp_path, "two"))
    alone = [Engine(host).generate(each).latents for each in wanted]
    engine = Engine(host)
    network: Any = engine.load(engine.prepare(wanted[0]))
    found = drawn(engine, wanted, meeting=True)
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(found, alone, strict=True))
    assert float((alone[0] - alone[3]).abs().max()) > 0.1
    assert max(len(set(times)) for times in network.passes) == len(wanted)
    assert len(network.worn) == 1


def test_a_job_alone_has_the_bits_of_generate(host: PluginHost, rows: str, tmp_path: Path) -> None:
    (wanted,) = requests(rows, lora(tmp_path), weights=(0.3,))
    assert torch.equal(drawn(Engine(host), [wanted])[0], Engine(host).generate(wanted).latents)


CASES: dict[str, dict[str, Any]] = {
    "merged": {"request": {"lora_mode": "merged"}},
    "with graphs": {"request": {"capture": "script"}},
    "of text encoders": {"lora": {"parts": ("text_encoder", "unet")}},
    "of a family with one weight": {"lora": {"varies": False}},
    "batch-invariant": {"engine": {"batch_invariant": True}},
}


@pytest.mark.parametrize("case", CASES)
def test_where_they_cannot_be_apart_each_has_its_turn(host: PluginHost, rows: str, tmp_path: Path, case: str) -> None:
    about = CASES[case]
    wanted = requests(rows, lora(tmp_path, **about.get("lora", {})), weights=WEIGHTS[:4], **about.get("request", {}))
    alone = [Engine(host).generate(each).latents for each in wanted]
    engine = Engine(host, **about.get("engine", {}))
    network: Any = engine.load(engine.prepare(wanted[0]))
    assert all(torch.equal(one, other) for one, other in zip(drawn(engine, wanted), alone, strict=True))
    assert len(network.worn) == len(wanted)


def test_a_model_with_one_weight_a_pass_has_them_apart(host: PluginHost, model: str, tmp_path: Path) -> None:
    """They have it at the same time all the same."""
    wanted = requests(model, lora(tmp_path))
    alone = [Engine(host).generate(each).latents for each in wanted]
    engine = Engine(host)
    network: Any = engine.load(engine.prepare(wanted[0]))
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(drawn(engine, wanted, meeting=True), alone, strict=True))
    assert len(network.worn) == 1


@pytest.mark.parametrize(
    ("weight", "capture", "told"), [("0@0,1@1", "script", 1), ("0@0,1@1", "off", 0), (0.5, "script", 0)]
)
def test_weights_that_change_over_the_run_keep_a_network_from_graphs_which_is_told(
    host: PluginHost, rows: str, tmp_path: Path, weight: Any, capture: str, told: int
) -> None:
    (wanted,) = requests(rows, lora(tmp_path), weights=(weight,), capture=capture)
    assert sum("not captured" in note for note in Engine(host).prepare(wanted).notes) == told
