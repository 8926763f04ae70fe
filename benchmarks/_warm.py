"""A warm generation: prompt to picture with everything loaded, in diffusers' pipeline and in ours."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import diffusers
import torch
from _paired import paired
from torch import Tensor

from latentry import Engine, GenerationRequest, MemoryPolicy, PluginHost

MODELS = ("shapes", "shapes-sdxl", "shapes-sd3", "shapes-flux")
STEPS = 20
SHAPES = ("circle", "square", "triangle", "cross", "ring", "star")
COLOURS = ("red", "blue", "green", "yellow", "purple", "orange", "cyan", "black")
BACKGROUNDS = ("white", "black", "gray")
TOKENS = 24
"""Of the shipped models' T5; by default diffusers pads to 256 or 512."""


def prompts() -> Iterator[str]:
    """Prompts that differ, so that no side can keep what it made of the last one."""
    for colour, shape, background in itertools.cycle(itertools.product(COLOURS, SHAPES, BACKGROUNDS)):
        yield f"a {colour} {shape} on a {background} background"


def measure(
    names: tuple[str, ...],
    rounds: int,
    *,
    same_prompt: bool = False,
    fast: bool = False,
    policy: MemoryPolicy | None = None,
) -> Iterator[dict[str, Any]]:
    """A row for each model: the times of both, and how far their latents are apart.

    Args:
        names: of shipped models.
        rounds: pairs of pictures.
        same_prompt: draw one prompt all the time.
        fast: our side may add up in another order.
        policy: of the engine.
    """
    host = PluginHost()
    for name in names:
        engine = Engine(host, policy)
        ours, theirs = sides(engine, host, name, fast=fast)
        drawn = prompts()
        once = next(drawn)
        given = {ours: iter(drawn), theirs: iter(prompts())}

        def draw(side: Callable[..., Any], given: Any = given, once: str = once) -> Callable[[], object]:
            return lambda: side(once if same_prompt else next(given[side]))

        apart = float((ours(once, latents=True) - theirs(once, latents=True)).abs().max())
        found = paired(draw(ours), draw(theirs), rounds, warm=3)
        yield {"name": name, "latents_apart": apart, **found.row()}


def sides(
    engine: Engine, host: PluginHost, name: str, *, fast: bool = False
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Both ways to draw a prompt, from the same noise and by the same method: DDIM, on flows Euler."""
    spec, folder = host.checkpoints[name], Path(host.checkpoints.load(name)())
    flow = host.families[spec.family].process == "flow"
    settings: dict[str, Any] = {"fast": fast} if flow else {"fast": fast, "scheduler": "ddim"}
    noise = torch.randn((1, 16 if flow else 4, 16, 16), generator=torch.Generator().manual_seed(7))
    pipeline = _pipeline(folder, flow)
    variant = next(each for each in host.families[spec.family].variants if each.name == spec.variant)
    given: dict[str, Any] = {
        "num_inference_steps": STEPS,
        "guidance_scale": variant.guidance if spec.guidance is None else spec.guidance,
        "height": spec.size,
        "width": spec.size,
    }
    if flow:
        given |= {"max_sequence_length": TOKENS, "sigmas": torch.linspace(1, 1 / STEPS, STEPS).tolist()}
    start = noise
    if name == "shapes-flux":
        start = pipeline._pack_latents(noise, 1, 16, 16, 16)

    def ours(prompt: str, *, latents: bool = False) -> Tensor | None:
        request = GenerationRequest(prompt=prompt, model=name, steps=STEPS, dtype="float32", device="cpu", **settings)
        result = engine.generate(request, latents=noise)
        return result.latents if latents else None

    def theirs(prompt: str, *, latents: bool = False) -> Tensor | None:
        result = pipeline(prompt, latents=start, output_type="latent" if latents else "pil", **given)
        if not latents:
            return None
        raw = result.images
        if name == "shapes-flux":
            raw = pipeline._unpack_latents(raw, spec.size, spec.size, pipeline.vae_scale_factor)
        return raw

    return ours, theirs


def _pipeline(folder: Path, flow: bool) -> Any:
    options: Mapping[str, Any] = {"local_files_only": True, "torch_dtype": torch.float32}
    pipeline = diffusers.DiffusionPipeline.from_pretrained(folder, **options)
    pipeline.set_progress_bar_config(disable=True)
    if not flow:
        own = pipeline.scheduler.config
        pipeline.scheduler = diffusers.DDIMScheduler.from_config(own, clip_sample=False, set_alpha_to_one=False)
    return pipeline
