"""What changes over a run, in the families on diffusers' networks: each step is that of a request with the number."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import torch
from support.loras import diffusers, random_lora, write
from support.models import write_stable_diffusion
from support.models_flux import write_flux
from support.models_sd3 import write_stable_diffusion_3
from support.stitched import stitched

from latentry import Curve, Engine, GenerationRequest, PluginHost, ProgressEvent, Recipe

pytestmark = pytest.mark.slow

FAMILIES: dict[str, Callable[[Path], Path]] = {
    "sd": write_stable_diffusion,
    "sd3": write_stable_diffusion_3,
    "flux": write_flux,
}
STEPS = 4


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("families")
    return {family: str(write(root / family)) for family, write in FAMILIES.items()}


def request(folder: str, **wanted: Any) -> GenerationRequest:
    about = {"prompt": ("a red circle", "a star"), "model": folder, "steps": STEPS, "seed": 5, "device": "cpu"}
    return GenerationRequest(**about | {"dtype": "float32", "scheduler": "euler", "attention": "native"} | wanted)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_step_is_that_of_the_number(folders: dict[str, str], family: str, tmp_path: Path) -> None:
    """The guidance scale, which FLUX takes as an input of its network, the weight of a LoRA, and the words; alone, in
    company, as jobs of different lengths in one engine, and from the recipe.
    """
    host = PluginHost()
    engine, wanted = Engine(host), request(folders[family])
    model = engine.load(engine.prepare(wanted))
    networks = {part: model.networks[part] for part in model.networks if part in ("unet", "transformer")}
    file = str(write(tmp_path / "ink.safetensors", diffusers(random_lora(networks, rank=2, seed=1))))
    scale, weight = Curve.parse("1.5@0,1.5@0.5,4@0.5"), Curve.parse("0@0,1@0.75")

    def over(scale: Any, weight: Any, **more: Any) -> GenerationRequest:
        return request(folders[family], guidance=scale, loras=({"path": file, "weight": weight},), **more)

    words = {"prompt": ("a [red:dark blue:0.5] circle", "a [star|moon]"), "prompt_syntax": "automatic1111"}
    first, second = ("red", "red", "dark blue", "dark blue"), ("star", "moon", "star", "moon")
    drawn = engine.generate(over(scale, weight, **words))
    each = [
        over(
            scale.at(index / STEPS, 0.0),
            weight.at(index / STEPS, 0.0),
            prompt=(f"a {first[index]} circle", f"a {second[index]}"),
        )
        for index in range(STEPS)
    ]
    expected = stitched(host, each)
    near = 1e-4 * float(expected.abs().max())
    assert torch.allclose(drawn.latents, expected, atol=near)
    for fixed in (over(1.5, 0.0), over(4.0, 0.75), over(scale, weight)):
        assert float((engine.generate(fixed).latents - expected).abs().max()) > 5 * near
    alone = engine.generate(over(scale, weight, batch=1, **words)).latents
    assert torch.allclose(alone, expected, atol=near)
    jobs = [engine.submit(over(scale, weight, steps=steps, **words)) for steps in (STEPS, STEPS + 2)]
    assert torch.allclose(jobs[0].result(timeout=120).latents, expected, atol=near)
    jobs[1].result(timeout=120)
    recipe = Recipe.model_validate_json(drawn.recipes[1].model_dump_json())
    assert torch.equal(engine.reproduce(recipe).latents, drawn.latents[1:])


@pytest.mark.parametrize("family", FAMILIES)
def test_jobs_share_a_pass_though_their_loras_have_other_weights(
    folders: dict[str, str], family: str, tmp_path: Path
) -> None:
    host = PluginHost()
    engine, alone = Engine(host), Engine(host, batch_invariant=True)
    model = engine.load(engine.prepare(request(folders[family])))
    networks = {part: model.networks[part] for part in model.networks if part in ("unet", "transformer")}
    file = str(write(tmp_path / "ink.safetensors", diffusers(random_lora(networks, rank=2, seed=1))))
    wanted = [
        request(folders[family], prompt="a star", loras=({"path": file, "weight": weight},), seed=seed)
        for seed, weight in enumerate((0.0, -0.5, 1.0, Curve.parse("0@0,1@0.75")))
    ]
    passes: list[int] = []
    predict = model.predict

    def counted(x: torch.Tensor, *rest: Any, **more: Any) -> torch.Tensor:
        passes.append(len(x))
        return predict(x, *rest, **more)

    model.predict = counted  # type: ignore[method-assign]
    together = Barrier(len(wanted))

    def meet(event: ProgressEvent) -> None:
        if event.stage == "encode" and event.done == 0:
            together.wait(120)

    jobs = [engine.submit(each, progress=meet) for each in wanted]
    for each, job in zip(wanted, jobs, strict=True):
        expected = alone.generate(each).latents
        assert torch.allclose(job.result(120).latents, expected, atol=1e-4 * float(expected.abs().max()))
    assert max(passes) >= len(wanted)
