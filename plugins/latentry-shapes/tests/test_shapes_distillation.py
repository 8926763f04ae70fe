"""A student's target is what its teacher predicts."""

from __future__ import annotations

import random

import pytest
import torch
from torch import Tensor

from latentry_shapes._batches import Batch, Batches, encode
from latentry_shapes._latents import Drawings
from latentry_shapes.designs import DESIGNS, Flux
from latentry_shapes.distillation import SCALES, Distillation, Teacher
from latentry_shapes.encoders import TEXT_ENCODERS, States
from latentry_shapes.networks import cumulative
from latentry_shapes.objectives import Levels, Objective
from latentry_shapes.scenes import random_scene


class Constant:
    """Predicts the caption's first number everywhere; records the scales that it is given."""

    def __init__(self) -> None:
        self.scales: list[Tensor] = []

    def __call__(self, packed: Tensor, *, encoder_hidden_states: Tensor, guidance: Tensor, **_: Tensor) -> object:
        self.scales.append(guidance)
        predicted = encoder_hidden_states[:, :1, :1].expand_as(packed)
        return type("Output", (), {"sample": predicted})()


def states(*captions: float) -> list[States]:
    tokens = torch.tensor(captions).view(-1, 1, 1).expand(-1, 24, 128)
    return [States(tokens, tokens[:, 0], tokens[:, 0]), States(tokens)]


@pytest.mark.parametrize("scale", [1.0, 3.0, 5.0])
def test_the_target_is_guided_at_the_scale(scale: float) -> None:
    design, teacher = Flux(starts_from="shapes-flux-base"), Constant()
    inputs, flat = torch.zeros(2, 16, 4, 4), torch.zeros(2, 1, 1, 1)
    batch = Batch(
        inputs, Levels(flat, flat, torch.zeros(2)), states(3.0, 7.0), inputs, torch.Generator(), range(2), ["", ""]
    )
    target = Distillation(design, teacher, states(2.0)).target(batch, torch.full((2,), scale))
    for picture, caption in zip(target, (3.0, 7.0), strict=True):
        assert picture.unique().tolist() == pytest.approx([2.0 + scale * (caption - 2.0)])
    assert all(scales.unique().tolist() == [1.0] for scales in teacher.scales)


def test_the_student_gets_scales_from_the_whole_range() -> None:
    design, student = Flux(starts_from="shapes-flux-base"), Constant()
    inputs, flat = torch.zeros(400, 16, 4, 4), torch.zeros(400, 1, 1, 1)
    generator, count = torch.Generator().manual_seed(0), range(400)
    batch = Batch(inputs, Levels(flat, flat, flat), states(*[1.0] * 400), inputs, generator, count, [""] * 400)
    Distillation(design, Constant(), states(0.0))(student, batch)
    (scales,) = student.scales
    assert float(scales.min()) == pytest.approx(SCALES[0], abs=0.1)
    assert float(scales.max()) == pytest.approx(SCALES[1], abs=0.1)


@torch.no_grad()
def test_a_teacher_of_another_architecture_reads_the_captions_with_its_own_text_encoders() -> None:
    """At the student's times, on the student's noisy latents."""
    torch.manual_seed(0)
    design, taught, rng = DESIGNS["shapes-z-image"], DESIGNS["shapes-sd3"], random.Random(0)
    encoders, own = ({n: TEXT_ENCODERS[n].build().eval() for n in each.encoders} for each in (design, taught))
    drawings = Drawings([random_scene(rng) for _ in range(8)], torch.randn(8, 16, 16, 16))
    batch = Batches(design, encoders, drawings, Objective("flow", cumulative()), 3, 0)(5)
    denoiser = taught.denoiser().eval()
    target = Teacher(taught, denoiser, own).target(batch)
    assert target.shape == batch.inputs.shape
    for row, prompt in enumerate(batch.prompts):
        x, times = batch.inputs[row : row + 1], batch.levels.times[row : row + 1]
        alone = taught.predict(denoiser, x, times, encode(taught, own, [prompt]))
        assert torch.allclose(target[row : row + 1], alone, atol=1e-4)
        other = taught.predict(denoiser, x, times, encode(taught, own, ["a pink ring"]))
        assert not torch.allclose(target[row : row + 1], other, atol=1e-3)
