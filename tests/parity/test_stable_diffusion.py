"""The same latents, prompt and grid through diffusers' own pipeline and through ours, compared stage by stage.

Both sides are overheard at the same places: what the text encoder, the UNet and the autoencoder are given and give.
The UNet's input is the sample on both sides (diffusers' Euler keeps x/α and scales it back), so the latents after
each step are the next input, and the last ones go to the autoencoder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline
from support.models import PROMPT
from torch import Tensor

from latentry import Engine, GenerationRequest, PluginHost

STEPS = 20
OTHER = "a green star on a white background"
TOLERANCES = {"token ids": 0.0, "text states": 1e-5, "timesteps": 1e-4, "initial latents": 1e-5, "pixels": 2e-3}
LATENTS = 1e-3
SCHEDULERS = {
    "ddim": GenerationRequest(prompt="", scheduler="ddim"),
    "euler": GenerationRequest(prompt="", scheduler="euler", sigmas="leading", final="zero"),
}


@dataclass
class Overheard:
    """What went through the networks of one side.

    Attributes:
        ids: of each call of the text encoder.
        states: that it gave.
        times: of each call of the UNet.
        inputs: samples of the conditioned half.
        latents: given to the autoencoder.
        pixels: that it gave, in −1..1.
    """

    ids: list[Tensor] = field(default_factory=list)
    states: list[Tensor] = field(default_factory=list)
    times: list[Tensor] = field(default_factory=list)
    inputs: list[Tensor] = field(default_factory=list)
    latents: list[Tensor] = field(default_factory=list)
    pixels: list[Tensor] = field(default_factory=list)

    def stages(self) -> Iterator[tuple[str, Tensor]]:
        """In the order of the pipeline."""
        yield from (("token ids", ids.double()) for ids in self.ids)
        yield from (("text states", states) for states in self.states)
        yield "timesteps", torch.stack([time.flatten()[0].double() for time in self.times])
        for step, sample in enumerate(self.inputs):
            yield (f"latents after {step} steps" if step else "initial latents"), sample
        yield from ((f"latents after {len(self.inputs)} steps", latents) for latents in self.latents)
        yield from (("pixels", pixels) for pixels in self.pixels)


@contextmanager
def overhearing(networks: Any, pictures: int) -> Iterator[Overheard]:
    """Listens to anything that has ``text_encoder``, ``unet`` and ``vae``."""
    heard = Overheard()

    def text(module: Any, given: tuple[Tensor, ...], options: dict[str, Any], out: Any) -> None:
        heard.ids.append(given[0] if given else options["input_ids"])
        heard.states.append(out[0])

    def unet(module: Any, given: tuple[Any, ...], options: dict[str, Any]) -> None:
        heard.inputs.append(given[0][-pictures:].clone())
        heard.times.append(torch.as_tensor(given[1]))

    def decode(latents: Tensor, **options: Any) -> Any:
        out = plain(latents, **options)
        heard.latents.append(latents * networks.vae.config.scaling_factor)
        heard.pixels.append(out[0])
        return out

    plain = networks.vae.decode
    handles = [
        networks.text_encoder.register_forward_hook(text, with_kwargs=True),
        networks.unet.register_forward_pre_hook(unet, with_kwargs=True),
    ]
    networks.vae.decode = decode
    try:
        yield heard
    finally:
        del networks.vae.decode
        for handle in handles:
            handle.remove()


def theirs(folder: Path, scheduler: str, prompts: Sequence[str], guidance: float, latents: Tensor) -> Overheard:
    """diffusers' side."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    if scheduler == "euler":
        pipeline.scheduler = EulerDiscreteScheduler.from_config(pipeline.scheduler.config)
    with overhearing(pipeline, len(prompts)) as heard:
        pipeline(list(prompts), num_inference_steps=STEPS, guidance_scale=guidance, latents=latents, output_type="pt")
    return heard


def ours(folder: Path, scheduler: str, prompts: Sequence[str], guidance: float, latents: Tensor) -> Overheard:
    """Latentry's side, with what its plugins prefer wherever that is diffusers' way."""
    settings = {
        "prompt": tuple(prompts),
        "model": str(folder),
        "guidance": guidance,
        "steps": STEPS,
        "dtype": "float32",
    }
    if "zero-snr" in folder.name:
        settings["final"] = "table"
    request = SCHEDULERS[scheduler].model_copy(update=settings)
    engine = Engine(PluginHost())
    model: Any = engine.load(engine.prepare(request))
    with overhearing(model, len(prompts)) as heard:
        engine.generate(request, latents=latents)
    return heard


def parting(mine: Overheard, peer: Overheard) -> str:
    """The first stage at which two sides part, and by how much; empty where they never do."""
    pairs = zip(mine.stages(), peer.stages(), strict=True)
    for (stage, a), (named, b) in pairs:
        if stage != named or a.shape != b.shape:
            return f"{stage} {tuple(a.shape)} against {named} {tuple(b.shape)}"
        apart = float((a - b).abs().max())
        if not apart <= TOLERANCES.get(stage, LATENTS):
            return f"{stage}: {apart:.2e}"
    return ""


def start(count: int) -> Tensor:
    """Standard normal, for both."""
    return torch.randn((count, 4, 16, 16), generator=torch.Generator().manual_seed(11))


@pytest.mark.parametrize("guidance", [1.0, 5.0])
@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("name", ["tiny", "tiny-v", "shapes"])
def test_both_pipelines_agree(models: dict[str, Path], name: str, scheduler: str, guidance: float) -> None:
    if name not in models:
        pytest.skip("the shipped model has no weights yet")
    arguments = (models[name], scheduler, (PROMPT,), guidance, start(1))
    mine, peer = ours(*arguments), theirs(*arguments)
    assert parting(mine, peer) == ""
    assert len(mine.inputs) == STEPS


def test_both_pipelines_agree_from_pure_noise(models: dict[str, Path]) -> None:
    arguments = (models["tiny-zero-snr"], "ddim", (PROMPT,), 5.0, start(1))
    mine, peer = ours(*arguments), theirs(*arguments)
    assert parting(mine, peer) == ""
    assert int(mine.times[0].flatten()[0]) == 999


@pytest.mark.parametrize("name", ["tiny", "shapes"])
def test_both_pipelines_agree_on_a_batch_of_two_prompts(models: dict[str, Path], name: str) -> None:
    if name not in models:
        pytest.skip("the shipped model has no weights yet")
    arguments = (models[name], "ddim", (PROMPT, OTHER), 5.0, start(2))
    mine, peer = ours(*arguments), theirs(*arguments)
    assert parting(mine, peer) == ""
    assert float((mine.latents[0][0] - mine.latents[0][1]).abs().max()) > 0.1


def test_the_comparison_would_notice(models: dict[str, Path]) -> None:
    """Each input is seen in the result, at the stage where it comes in."""
    arguments = (models["tiny"], "ddim", (PROMPT,), 5.0)
    peer = theirs(*arguments, start(1))
    assert parting(ours(models["tiny"], "ddim", (OTHER,), 5.0, start(1)), peer).startswith("token ids")
    assert parting(ours(models["tiny"], "ddim", (PROMPT,), 5.0, start(1) * 1.001), peer).startswith("initial latents")
    assert parting(ours(models["tiny"], "ddim", (PROMPT,), 6.0, start(1)), peer).startswith("latents after")
    last = f"latents after {STEPS} steps"  # both are of order 1: only the endings differ
    assert parting(ours(models["tiny"], "euler", (PROMPT,), 5.0, start(1)), peer).startswith(last)
