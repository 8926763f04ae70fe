"""The same noise, prompt and grid through diffusers' own Qwen-Image pipelines and through ours."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    QwenImageEditInpaintPipeline,
    QwenImageEditPipeline,
    QwenImageEditPlusPipeline,
    QwenImageImg2ImgPipeline,
    QwenImageInpaintPipeline,
    QwenImagePipeline,
)
from diffusers.pipelines.qwenimage import (
    pipeline_qwenimage_edit,
    pipeline_qwenimage_edit_inpaint,
    pipeline_qwenimage_edit_plus,
)
from PIL import Image
from support import both_pipelines
from support.both_pipelines import Peers, draw, drawing, seeded
from support.models import PROMPT
from support.models_qwen_image import write_qwen_image
from support.recording import LATENTS, Recording, first_difference
from torch import Tensor
from transformers import BatchFeature, Qwen2_5_VLModel
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from latentry import Engine, Flow, PluginHost

pytestmark = pytest.mark.slow

STEPS = 20
OTHER = "a green star on a white background"
PICTURE, MASK = drawing()
Side = Callable[..., Recording]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model."""
    return write_qwen_image(tmp_path_factory.mktemp("qwen-image") / "model")


def start(count: int = 1, height: int = 16, width: int = 16) -> Tensor:
    """Standard normal, for both."""
    return draw(count, channels=8, height=height, width=width)


def packed(latents: Tensor) -> Tensor:
    """As the peer takes them."""
    return QwenImagePipeline._pack_latents(latents, *latents.shape)


@pytest.fixture
def theirs(folder: Path, peers: Peers) -> Side:
    """diffusers' side."""

    def side(pipeline: Any, *prompts: str, height: int = 64, width: int = 64, **options: Any) -> Recording:
        given = {"num_inference_steps": STEPS, "height": height, "width": width, "true_cfg_scale": 1.0, **options}
        return both_pipelines.theirs(peers(folder, pipeline), prompts, **given)

    return side


@pytest.fixture
def ours(folder: Path, engine: Engine) -> Side:
    """Latentry's side; attention is the network's own unless the settings say otherwise."""

    def side(*prompts: str, latents: Tensor | None = None, **settings: Any) -> Recording:
        noise = start(len(prompts)) if latents is None else latents
        height, width = (4 * side for side in noise.shape[2:])
        chosen = {"steps": STEPS, "guidance": 1.0, "height": height, "width": width, "attention": "native", **settings}
        return both_pipelines.ours(engine, folder, prompts, noise, **chosen)

    return side


@pytest.mark.parametrize("attention", ["native", "sdpa"])
def test_both_pipelines_agree(ours: Side, theirs: Side, attention: str) -> None:
    mine = ours(PROMPT, attention=attention)
    assert first_difference(mine, theirs(QwenImagePipeline, PROMPT, latents=packed(start()))) == ""
    assert len(mine.inputs) == STEPS


def test_both_pipelines_agree_on_a_wide_batch_of_two_prompts(ours: Side, theirs: Side) -> None:
    """Of different lengths, which we evaluate apart and they together, behind a mask."""
    latents = start(2, 12, 24)
    mine = ours(PROMPT, "a red star", latents=latents)
    options = {"latents": packed(latents), "height": 48, "width": 96}
    peer = theirs(QwenImagePipeline, PROMPT, "a red star", **options)
    assert float((mine.latents[0] - peer.latents[0]).abs().max()) < LATENTS
    assert len(mine.inputs) == 2 * STEPS


def test_both_pipelines_agree_on_guidance(ours: Side, theirs: Side) -> None:
    """With the norm restored, which is the variant's own method; plain guidance is another."""
    mine = ours(PROMPT, guidance=4.0, negative=OTHER)
    own = {"true_cfg_scale": 4.0, "negative_prompt": [OTHER], "latents": packed(start())}
    peer = theirs(QwenImagePipeline, PROMPT, **own)
    assert float((mine.latents[0] - peer.latents[0]).abs().max()) < LATENTS
    plain = ours(PROMPT, guidance=4.0, negative=OTHER, guidance_method="classifier-free")
    assert float((mine.latents[0] - plain.latents[0]).abs().max()) > LATENTS


@pytest.mark.parametrize("strength", [0.3, 0.6])
def test_both_pipelines_agree_from_a_picture(ours: Side, theirs: Side, strength: float) -> None:
    mine = ours(PROMPT, init_image=PICTURE, strength=strength)
    given = {"image": PICTURE, "strength": strength, "generator": seeded()}
    assert first_difference(mine, theirs(QwenImageImg2ImgPipeline, PROMPT, **given)) == ""
    assert len(mine.inputs) == round(STEPS * strength)


@pytest.mark.parametrize("strength", [0.6, 1.0])
def test_both_pipelines_agree_within_a_mask(ours: Side, theirs: Side, strength: float) -> None:
    mine = ours(PROMPT, init_image=PICTURE, mask=MASK, strength=strength)
    given = {"image": PICTURE, "mask_image": MASK, "strength": strength, "generator": seeded()}
    assert first_difference(mine, theirs(QwenImageInpaintPipeline, PROMPT, **given)) == ""


class Processor:
    """What transformers' processor of text and pictures does, which would need torchvision."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer, self._pictures = tokenizer, Qwen2VLImageProcessorPil(min_pixels=28 * 28)

    def __call__(self, *, text: list[str], images: Any, padding: bool, return_tensors: str) -> BatchFeature:
        shown = self._pictures(images=images, return_tensors=return_tensors)
        counts = iter(shown["image_grid_thw"].prod(-1) // 4)
        texts = [re.sub(r"<\|image_pad\|>", lambda found: found[0] * int(next(counts)), each) for each in text]
        return BatchFeature({**self._tokenizer(texts, padding=padding, return_tensors=return_tensors), **shown})


@pytest.fixture
def edited(folder: Path, peers: Peers, monkeypatch: pytest.MonkeyPatch) -> Side:
    """diffusers' side of editing, for models of 64 × 64 pixels.

    Its call leaves out which tokens are pictures, without which transformers 5 places them in one row.
    """
    for module in (pipeline_qwenimage_edit, pipeline_qwenimage_edit_inpaint, pipeline_qwenimage_edit_plus):
        own = module.calculate_dimensions
        monkeypatch.setattr(module, "calculate_dimensions", lambda area, ratio, own=own: own(area // 256, ratio))
    placed = Qwen2_5_VLModel.compute_3d_position_ids

    def told(self: Any, *, input_ids: Tensor, **rest: Any) -> Any:
        kinds = (input_ids == self.config.image_token_id).int()
        return placed(self, **{**rest, "input_ids": input_ids, "mm_token_type_ids": kinds})

    monkeypatch.setattr(Qwen2_5_VLModel, "compute_3d_position_ids", told)

    def side(pipeline: Any, image: Any, **options: Any) -> Recording:
        processor = Processor(peers(folder, QwenImagePipeline).tokenizer)
        given = {"num_inference_steps": STEPS, "height": 64, "width": 64, "true_cfg_scale": 1.0}
        peer = peers(folder, pipeline, processor=processor)
        return both_pipelines.theirs(peer, [PROMPT], image=image, **{"latents": packed(start()), **given, **options})

    return side


@pytest.fixture
def editing(engine: Engine, tmp_path: Path) -> Side:
    """Latentry's side of editing; the weights are those of ``folder``."""

    def side(kind: str, *shown: Image.Image, **settings: Any) -> Recording:
        files = [tmp_path / f"{number}.png" for number in range(len(shown))]
        for file, picture in zip(files, shown, strict=True):
            picture.save(file)
        model = write_qwen_image(tmp_path / kind, kind=kind)
        chosen = {"steps": STEPS, "guidance": 1.0, "height": 64, "width": 64, "attention": "native", **settings}
        return both_pipelines.ours(engine, model, [PROMPT], start(), references=tuple(map(str, files)), **chosen)

    return side


WIDE = Image.linear_gradient("L").convert("RGB").resize((128, 64))


@pytest.mark.parametrize(
    ("kind", "shown"), [("edit", [PICTURE]), ("edit", [WIDE]), ("edit-plus", [WIDE]), ("edit-plus", [PICTURE, WIDE])]
)
def test_both_pipelines_agree_on_editing(editing: Side, edited: Side, kind: str, shown: list[Image.Image]) -> None:
    """The text encoder sees the pictures; their latents follow the tokens of the one that is drawn."""
    pipeline, image = (QwenImageEditPipeline, shown[0]) if kind == "edit" else (QwenImageEditPlusPipeline, shown)
    mine = editing(kind, *shown, attention="sdpa" if shown[0] is WIDE else "native")
    peer = edited(pipeline, image)
    assert float((mine.latents[0] - peer.latents[0]).abs().max()) < LATENTS
    assert float((mine.latents[0] - editing(kind).latents[0]).abs().max()) > LATENTS


def test_both_pipelines_agree_on_guided_editing(editing: Side, edited: Side) -> None:
    """With the pictures on both sides."""
    mine = editing("edit-plus", WIDE, guidance=4.0, negative=OTHER)
    peer = edited(QwenImageEditPlusPipeline, [WIDE], true_cfg_scale=4.0, negative_prompt=OTHER)
    assert float((mine.latents[0] - peer.latents[0]).abs().max()) < LATENTS
    assert float((mine.latents[0] - editing("edit-plus", PICTURE).latents[0]).abs().max()) > LATENTS


def test_both_pipelines_agree_on_editing_within_a_mask(editing: Side, edited: Side) -> None:
    """Theirs shows the network the picture that it begins from."""
    mine = editing("edit", PICTURE, init_image=PICTURE, mask=MASK, strength=0.6)
    given = {"mask_image": MASK, "strength": 0.6, "generator": seeded(), "latents": None}
    peer = edited(QwenImageEditInpaintPipeline, PICTURE, **given)
    assert float((mine.latents[0] - peer.latents[0]).abs().max()) < LATENTS


@pytest.mark.parametrize("steps", [2, 4, 20, 50])
@pytest.mark.parametrize(("shift", "terminal"), [(1.0, 0.02), (2.3, 0.02), (3.0, 0.1)])
def test_the_grid_is_flow_matchings(steps: int, shift: float, terminal: float) -> None:
    scheduler: Any = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift_terminal=terminal)
    scheduler.set_timesteps(sigmas=np.linspace(1, 1 / steps, steps), mu=float(np.log(shift)))
    schedule: Any = PluginHost().sigma_schedules.create("stretched", shift=shift, terminal=terminal)
    points = schedule.points(steps, Flow())
    assert [point.sigma for point in points] == pytest.approx(scheduler.sigmas[:-1].tolist(), rel=1e-6)


def test_the_comparison_would_notice(ours: Side, theirs: Side) -> None:
    """Each input is seen in the result, at the stage where it comes in."""
    recorded = theirs(QwenImagePipeline, PROMPT, latents=packed(start()))

    def apart(prompt: str = PROMPT, **settings: Any) -> str:
        return first_difference(ours(prompt, **settings), recorded)

    assert apart(prompt=OTHER).startswith("ids of")
    assert apart(sigma_options={"shift": 1.5}).startswith("times")
    assert apart(latents=start() * 1.001).startswith("given shown")  # a token's further channels
