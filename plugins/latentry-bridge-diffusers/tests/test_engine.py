"""Schedulers of two evaluations and of noise: in diffusers' pipelines they give what our engine gives."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
import torch
from diffusers import FluxPipeline
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from torch import Tensor

from latentry import Engine, GenerationRequest, KeyedNoise, PluginHost
from latentry_bridge_diffusers import scheduler

STEPS, STRENGTH, SEED = 6, 0.5, 5
FLOWS = ("shapes-sd3", "shapes-flux")
LATENT = {"shapes": 4, "shapes-sdxl": 4, "shapes-sd3": 16, "shapes-flux": 16}
PROMPT = "a red circle left of a blue square"
CASES = [
    (name, task) for name in ("heun", "dpmpp-sde", "euler-ancestral") for task in ("text-to-image", "image-to-image")
]
CASES += [("euler-ancestral", "inpainting")]  # the other two are refused there


class _Draws:
    """Noise as the pipeline has it: from its generator, or keyed where it passes none; FLUX's packs samples."""

    def __init__(self, model: str, generator: torch.Generator) -> None:
        self.model, self.generator, self.keyed = model, generator, KeyedNoise(SEED, range(1))
        self.drawn: dict[tuple[int, int], Tensor] = {}

    def __call__(self, like: Tensor, interval: int, draw: int, clock: Any) -> Tensor:
        if (interval, draw) not in self.drawn:
            self.drawn[interval, draw] = self._draw(like, interval, draw)
        return self.drawn[interval, draw]

    def _draw(self, like: Tensor, interval: int, draw: int) -> Tensor:
        if self.model == "shapes-flux":
            return _unpacked(self.keyed(_packed(like), interval, draw), like)
        if self.model == "shapes-sd3":
            return self.keyed(like, interval, draw)
        return torch.randn(like.shape, generator=self.generator)


def _packed(x: Tensor) -> Tensor:
    return FluxPipeline._pack_latents(x, *x.shape)  # type: ignore[no-any-return]


def _unpacked(tokens: Tensor, like: Tensor) -> Tensor:
    return FluxPipeline._unpack_latents(tokens, *like.shape[-2:], vae_scale_factor=1)  # type: ignore[no-any-return]


def _asked(network: Any, call: Any) -> tuple[Tensor, int]:
    """What a call returns, and how often it has asked the network."""
    calls: list[int] = []
    hook = network.register_forward_pre_hook(lambda *_: calls.append(1))
    try:
        return call(), len(calls)
    finally:
        hook.remove()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "task"), CASES)
@pytest.mark.parametrize("model", LATENT)
def test_a_pipeline_gives_what_the_engine_gives(
    pipeline: Any, draw: Any, picture: Any, mask: Any, model: str, name: str, task: str
) -> None:
    late = task != "text-to-image"
    pipe = pipeline(model, task)
    pipe.scheduler = scheduler(name, pipe, sigmas="trailing", seed=SEED)
    guidance = 1.0 if model == "shapes-flux" else 3.0
    given = {"num_inference_steps": STEPS, "guidance_scale": guidance, "generator": torch.Generator().manual_seed(7)}
    given |= {"strength": STRENGTH} if late else {}
    network = pipe.transformer if model in FLOWS else pipe.unet
    with patch.object(DiagonalGaussianDistribution, "sample", lambda self, generator=None: self.mode()):
        got, asked = _asked(network, lambda: draw(pipe, model, task, **given))

    generator = torch.Generator().manual_seed(7)
    size = 64 // 2 ** (len(pipe.vae.config.block_out_channels) - 1)
    latents = torch.randn(1, LATENT[model], size, size, generator=generator)
    request = GenerationRequest(
        prompt=PROMPT, model=model, scheduler=name, sigmas="trailing", seed=SEED, guidance=guidance, dtype="float32"
    )
    request = request.model_copy(update={"steps": STEPS, **({"strength": STRENGTH} if late else {})})
    if name != "euler-ancestral":  # a pipeline does not say its guidance: the guard's limit is that of an unknown one
        request = request.model_copy(update={"scheduler_options": {"guard_limit": 0.5}})
    shown = {"init_image": picture} if late else {}
    shown |= {"mask": mask} if task == "inpainting" else {}
    made = Engine(PluginHost()).generate(request, latents=latents, noise=_Draws(model, generator), **shown)
    expected = _packed(made.latents) if model == "shapes-flux" else made.latents
    assert torch.allclose(got, expected, atol=1e-3), (got - expected).abs().max()

    taken = STEPS // 2 if late else STEPS
    first = 1 if model in FLOWS and not late and name == "dpmpp-sde" else 2  # from σ = 1 it takes a step of order 1
    needed = taken if name == "euler-ancestral" else 2 * (taken - 2) + first + 1
    whole = STEPS if name == "euler-ancestral" else 2 * STEPS - 1 - (name == "dpmpp-sde")
    # FLUX's pipeline counts entries for steps when it cuts the list, and half of Heun's are one more than are needed
    assert asked == (whole - int(whole * STRENGTH) if late and model == "shapes-flux" else needed)
