"""Parts of the four families that run in dtypes of their own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from latentry import Engine, GenerationRequest, MemoryPolicy, PluginHost

FAMILIES = ("sd", "sdxl", "sd3", "flux")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def host() -> PluginHost:
    return PluginHost()


def request(folder: Path, **settings: Any) -> GenerationRequest:
    options = {"prompt": "a red circle", "seed": 2, "steps": 2, "width": 64, "height": 64, "dtype": "float32"}
    return GenerationRequest(model=str(folder), **{**options, **settings})


@pytest.mark.parametrize("family", FAMILIES)
def test_each_part_runs_in_the_dtype_it_was_given(host: PluginHost, families: Mapping[str, Path], family: str) -> None:
    """Half precision for all but the denoiser, and then for the denoiser alone: any two may meet."""
    plain = Engine(host).generate(request(families[family]))
    checkpoint = Engine(host).prepare(request(families[family])).checkpoint
    *beside, denoiser, vae = checkpoint.parts
    for low in ((*beside, vae), (denoiser,), (beside[-1],)):
        engine = Engine(host, MemoryPolicy(dtypes=dict.fromkeys(low, "bfloat16")))
        setup = engine.prepare(request(families[family]))
        networks = engine.load(setup).networks
        assert tuple(networks) == checkpoint.parts
        for part, network in networks.items():
            expected = torch.bfloat16 if part in low else torch.float32
            assert {p.dtype for p in network.parameters() if p.dtype.is_floating_point} == {expected}, part
        found = engine.generate(request(families[family]))
        assert found.recipes[0].request.dtypes == dict.fromkeys(low, "bfloat16")
        assert found.latents.isfinite().all()
        assert not torch.equal(found.latents, plain.latents) or low == (vae,)
        apart = (found.latents - plain.latents).norm() / plain.latents.norm()
        assert apart < 0.05  # bfloat16 has 8 bits


@pytest.mark.parametrize("family", ["sdxl", "sd3", "flux"])
def test_an_autoencoder_that_would_overflow_keeps_float32_by_default(
    host: PluginHost, families: Mapping[str, Path], family: str
) -> None:
    checkpoint = Engine(host).prepare(request(families[family])).checkpoint
    usual = checkpoint.load(CPU, torch.float16).networks
    asked = checkpoint.load(CPU, torch.float16, {"vae": torch.float16}).networks
    assert next(usual["vae"].parameters()).dtype == torch.float32
    assert next(asked["vae"].parameters()).dtype == torch.float16


def test_models_of_other_dtypes_are_other_models(host: PluginHost, families: Mapping[str, Path]) -> None:
    engine = Engine(host)
    first = engine.load(engine.prepare(request(families["sd"])))
    assert engine.load(engine.prepare(request(families["sd"]))) is first
    other = engine.load(engine.prepare(request(families["sd"], dtypes={"vae": "bfloat16"})))
    assert other is not first
