"""Every shipped model in diffusers' own pipelines and in ours: 20 steps from the same noise.

The tests of a model follow from its record and its variant's, so that models of new families are tested too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diffusers import AutoPipelineForImage2Image, AutoPipelineForInpainting, AutoPipelineForText2Image
from support.both_pipelines import SCHEDULERS, Peers, draw, drawing, ours, seeded, theirs
from support.loras import diffusers, random_lora, write
from support.models import PROMPT
from support.parts import TOKENS
from support.recording import Recording, first_difference

from latentry import CheckpointSpec, Engine, LoraRequest, PluginHost, Task, VariantSpec
from latentry._generate._batch._start import Blend

pytestmark = pytest.mark.slow

STEPS = 20
LAID_OUT, STRENGTH = 25, 0.8
"""From a picture: with this strength, 20 of 25 steps are taken."""
PICTURE, MASK = drawing()
COUNTED_FROM_0 = {"latentry-z-image:z-image"}
"""Families whose pipelines in diffusers count the guidance scale from 0; ours is one more."""
PIPELINES: Mapping[Task, Any] = {
    "text-to-image": AutoPipelineForText2Image,
    "image-to-image": AutoPipelineForImage2Image,
    "inpainting": AutoPipelineForInpainting,
}


@dataclass(frozen=True)
class Shipped:
    """A shipped model."""

    spec: CheckpointSpec
    variant: VariantSpec
    flow: bool
    folder: Path

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks of its network, and inpainting by blending."""
        blended: tuple[Task, ...] = ("inpainting",) if "image-to-image" in self.variant.tasks else ()
        return (*self.variant.tasks, *blended)

    @property
    def guidance(self) -> float:
        """The guidance scale that is used if a request gives none."""
        return self.variant.guidance if self.spec.guidance is None else self.spec.guidance


def shipped() -> Iterator[Shipped]:
    host = PluginHost()
    for name in host.checkpoints:
        spec = host.checkpoints[name]
        family, folder = host.families[spec.family], Path(host.checkpoints.load(name)())
        (variant,) = (variant for variant in family.variants if variant.name == spec.variant)
        if any(folder.glob("*/*.safetensors")):
            yield Shipped(spec, variant, family.process == "flow", folder)


SHIPPED = list(shipped())
EVERY = [
    pytest.param(model, task, guidance, id=f"{model.spec.name}, {task}, {guidance or 'default'}")
    for model in SHIPPED
    for task in model.tasks
    for guidance in ((None,) if model.variant.guidance_kind == "none" else (None, 1.0))
]
SKIPPING = [pytest.param(model, id=model.spec.name) for model in SHIPPED if model.variant.skip_layers]


def mine(engine: Engine, model: Shipped, task: Task, guidance: float | None, **settings: Any) -> Recording:
    """What Latentry does. A guidance of None leaves the scale to the model."""
    pictures = {"text-to-image": {}, "image-to-image": {"init_image": PICTURE}}
    strength = {"image-to-image": STRENGTH, "inpainting": 1.0}.get(task)
    channels = 16 if model.flow else 4
    return ours(
        engine,
        model.spec.name,
        (PROMPT,),
        draw(channels=channels),
        steps=LAID_OUT if task == "image-to-image" else STEPS,
        guidance=guidance,
        strength=strength,
        **pictures.get(task, {"init_image": PICTURE, "mask": MASK}),
        **({} if model.flow else SCHEDULERS["ddim"]),
        **settings,
    )


def peer(peers: Peers, model: Shipped, task: Task, guidance: float | None, **options: Any) -> Recording:
    """What diffusers does. Not every pipeline takes the size, sigmas or the length of its text encoder's sequence."""
    pipeline = peers(model.folder, PIPELINES[task], "own" if model.flow else "ddim")
    steps = LAID_OUT if task == "image-to-image" else STEPS
    given = {
        "image": PICTURE,
        "mask_image": MASK,
        "strength": STRENGTH if task == "image-to-image" else 1.0,
        "height": model.spec.size,
        "width": model.spec.size,
        **({"sigmas": np.linspace(1, 1 / steps, steps)} if model.flow else {}),
        **({"max_sequence_length": TOKENS} if (model.folder / "text_encoder_2").exists() else {}),
    }
    taken = signature(pipeline.__call__).parameters
    scale = model.guidance if guidance is None else guidance
    return theirs(
        pipeline,
        (PROMPT,),
        num_inference_steps=steps,
        guidance_scale=scale - 1 if model.spec.family in COUNTED_FROM_0 else scale,
        generator=seeded(),
        **{name: value for name, value in given.items() if name in taken},
        **options,
    )


@pytest.fixture(autouse=True)
def as_the_pipelines_blend(model: Shipped, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pipelines do not blend networks that are shown the mask; the engine blends all of them."""
    if "inpainting" in model.variant.tasks:
        monkeypatch.setattr(Blend, "__call__", lambda *given: None)


@pytest.mark.parametrize(("model", "task", "guidance"), EVERY)
def test_both_pipelines_agree(engine: Engine, peers: Peers, model: Shipped, task: Task, guidance: float | None) -> None:
    found = mine(engine, model, task, guidance)
    assert first_difference(found, peer(peers, model, task, guidance)) == ""
    assert len(found.inputs) == STEPS
    scale = model.guidance if guidance is None else guidance
    if model.variant.guidance_kind == "distilled":
        assert found.conditioning["guidance"].tolist() == [scale]
    else:
        assert len(found.conditioning["encoder_hidden_states"]) == (2 if scale > 1.0 else 1)


@pytest.mark.parametrize("model", SKIPPING)
def test_both_pipelines_agree_with_skip_layer_guidance(engine: Engine, peers: Peers, model: Shipped) -> None:
    found = mine(engine, model, "text-to-image", None, skip_layers=(1, 2))
    recorded = peer(peers, model, "text-to-image", None, skip_guidance_layers=[1, 2])
    assert first_difference(found, recorded) == ""
    assert found.skipped == recorded.skipped == [(1, 2)] * 3
    plain = mine(engine, model, "text-to-image", None)
    assert float((found.latents[0] - plain.latents[0]).abs().max()) > 0.01


@pytest.mark.parametrize("model", [pytest.param(model, id=model.spec.name) for model in SHIPPED])
def test_both_loaders_agree_on_a_lora(engine: Engine, peers: Peers, model: Shipped, tmp_path: Path) -> None:
    """A LoRA of every linear layer and every convolution of the denoiser."""
    task = model.tasks[0]
    pipeline = peers(model.folder, PIPELINES[task], "own" if model.flow else "ddim")
    part = "transformer" if model.flow else "unet"
    lora = random_lora({part: getattr(pipeline, part)})
    file = write(tmp_path / "lora.safetensors", diffusers(lora))
    pipeline.load_lora_weights(tmp_path, weight_name=file.name, adapter_name="one", local_files_only=True)
    try:
        pipeline.set_adapters(["one"], [0.7])
        recorded = peer(peers, model, task, None)
    finally:
        pipeline.unload_lora_weights()
    found = mine(engine, model, task, None, loras=(LoraRequest(path=str(file), weight=0.7),))
    assert first_difference(found, recorded) == ""
    plain = mine(engine, model, task, None)
    assert float((found.latents[0] - plain.latents[0]).abs().max()) > 0.02


@pytest.mark.parametrize("model", [pytest.param(model, id=model.spec.name) for model in SHIPPED])
def test_the_comparison_notices_another_guidance_scale(engine: Engine, peers: Peers, model: Shipped) -> None:
    """At the first task of each model."""
    task = model.tasks[0]
    recorded = peer(peers, model, task, model.guidance)
    apart = first_difference(mine(engine, model, task, model.guidance + 0.5), recorded)
    assert apart.startswith("given guidance" if model.variant.guidance_kind == "distilled" else "latents after")
