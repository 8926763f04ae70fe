"""Guidance away from networks that are weakened, in all families."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support.models import write_stable_diffusion
from support.models_flux import write_flux
from support.models_sd3 import write_stable_diffusion_3
from support.models_sdxl import write_stable_diffusion_xl
from support.toy import toy_host, write_toy

from latentry import Engine, GenerationRequest, IncompatibleError, LatentryError, OptionError, PluginHost
from latentry_diffusers.attention import AttentionBlocks

pytestmark = pytest.mark.slow

FAMILIES: dict[str, Callable[[Path], Path]] = {
    "sd": write_stable_diffusion,
    "sdxl": write_stable_diffusion_xl,
    "sd3": write_stable_diffusion_3,
    "flux": write_flux,
}
SEEDED: dict[str, Any] = {
    "sd": write_stable_diffusion,
    "sdxl": write_stable_diffusion_xl,
    "sd3": write_stable_diffusion_3,
}
PROMPTS = ("a red circle", "a green star on white")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("families")
    return {family: str(write(root / family)) for family, write in FAMILIES.items()}


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(PluginHost())


def request(folder: str, **wanted: Any) -> GenerationRequest:
    settings = {"prompt": PROMPTS, "model": folder, "steps": 3, "seed": 1, "device": "cpu", "dtype": "float32"}
    return GenerationRequest(**settings | wanted)


@pytest.mark.parametrize("method", ["pag", "seg"])
@pytest.mark.parametrize("family", FAMILIES)
def test_it_guides_in_every_family(engine: Engine, folders: dict[str, str], family: str, method: str) -> None:
    """Another picture than without, the stronger the further; each alone as in company; and made again."""
    folder, plain_scale = folders[family], {} if family == "flux" else {"guidance": 2.0}
    plain = engine.generate(request(folder, **plain_scale)).latents
    results = [
        engine.generate(request(folder, guidance_method=method, guidance_options={"strength": s}, **plain_scale))
        for s in (1e-3, 3.0)
    ]
    weak, strong = (float((result.latents - plain).abs().max() / plain.abs().max()) for result in results)
    assert 0.0 < weak < 0.1 * strong
    alone = engine.generate(request(folder, guidance_method=method, batch=1, **plain_scale)).latents
    assert torch.allclose(alone, results[1].latents, atol=1e-3 * float(alone.abs().max()))
    assert torch.equal(engine.reproduce(results[1].recipes[1]).latents, results[1].latents[1:])
    after = engine.generate(request(folder, **plain_scale)).latents
    assert torch.equal(after, plain)


@pytest.mark.parametrize("family", FAMILIES)
def test_blocks_are_counted_before_weights_are_loaded(engine: Engine, folders: dict[str, str], family: str) -> None:
    setup = engine.prepare(request(folders[family]))
    loaded: Any = engine.load(setup)
    checkpoint: Any = setup.checkpoint
    assert checkpoint.attention_blocks == len(AttentionBlocks(loaded.denoiser)) > 0
    first, last = (0,), (checkpoint.attention_blocks - 1,)
    pictures = [
        engine.generate(request(folders[family], guidance_method="pag", guidance_options={"blocks": blocks})).latents
        for blocks in (first, last)
    ]
    assert not torch.allclose(*pictures, atol=1e-4)


@pytest.mark.parametrize(
    ("wanted", "kind", "message"),
    [
        ({"attention": "native"}, IncompatibleError, "cannot be used with native attention"),
        ({"attention": "sdpa;self=native"}, IncompatibleError, "cannot be used with native attention"),
        ({"guidance_options": {"blocks": [99]}}, OptionError, "There is no attention block 99"),
        ({"guidance": 1.0, "negative": "grey"}, OptionError, "The option negative has no effect"),
    ],
)
def test_what_cannot_be_is_refused(
    engine: Engine, folders: dict[str, str], wanted: Any, kind: type[LatentryError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        engine.prepare(request(folders["sd"], guidance_method="pag", **wanted))


def test_a_distilled_network_has_no_use_for_a_negative_prompt_here(engine: Engine, folders: dict[str, str]) -> None:
    with pytest.raises(IncompatibleError, match="cannot be used with a negative prompt"):
        engine.prepare(request(folders["flux"], guidance_method="pag", negative="grey"))


def test_a_family_that_does_not_declare_it_is_refused(tmp_path: Path) -> None:
    host = toy_host(load=("latentry", "latentry-guidance"))
    model = str(write_toy(tmp_path / "model", fails="loading"))
    with pytest.raises(IncompatibleError, match="cannot be used with small") as caught:
        Engine(host).prepare(GenerationRequest(prompt="a", model=model, guidance_method="seg"))
    assert "It needs the branches smoothed-attention; this network provides uncond, weak-model." in str(caught.value)
    assert "apg" in str(caught.value.remedy)


@pytest.mark.parametrize("family", ["sd", "sdxl", "sd3"])
def test_a_second_model_guides_in_every_family(
    engine: Engine, folders: dict[str, str], family: str, tmp_path: Path
) -> None:
    """Two random models of one kind; the picture is another one, alone as in company, and made again."""
    weak = str(SEEDED[family](tmp_path / "weak", seed=3))
    wanted = {"guidance_method": "autoguidance", "guidance_model": weak, "guidance": 2.0}
    plain = engine.generate(request(folders[family], guidance=1.0)).latents
    result = engine.generate(request(folders[family], **wanted))
    assert float((result.latents - plain).abs().max()) > 1e-2 * float(plain.abs().max())
    alone = engine.generate(request(folders[family], batch=1, **wanted)).latents
    assert torch.allclose(alone, result.latents, atol=1e-3 * float(alone.abs().max()))
    assert torch.equal(engine.reproduce(result.recipes[1]).latents, result.latents[1:])
