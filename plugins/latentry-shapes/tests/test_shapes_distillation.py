"""A student's target is its teacher's guided prediction."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from latentry_shapes._batches import Batch
from latentry_shapes.designs import Flux
from latentry_shapes.distillation import SCALES, Distillation
from latentry_shapes.encoders import States
from latentry_shapes.objectives import Levels


class Teacher:
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
    design, teacher = Flux(starts_from="shapes-flux-base"), Teacher()
    inputs, flat = torch.zeros(2, 16, 4, 4), torch.zeros(2, 1, 1, 1)
    batch = Batch(inputs, Levels(flat, flat, torch.zeros(2)), states(3.0, 7.0), inputs, torch.Generator(), range(2))
    target = Distillation(design, teacher, states(2.0)).target(batch, torch.full((2,), scale))
    for picture, caption in zip(target, (3.0, 7.0), strict=True):
        assert picture.unique().tolist() == pytest.approx([2.0 + scale * (caption - 2.0)])
    assert all(scales.unique().tolist() == [1.0] for scales in teacher.scales)


def test_the_student_gets_scales_from_the_whole_range() -> None:
    design, student = Flux(starts_from="shapes-flux-base"), Teacher()
    inputs, flat = torch.zeros(400, 16, 4, 4), torch.zeros(400, 1, 1, 1)
    batch = Batch(
        inputs, Levels(flat, flat, flat), states(*[1.0] * 400), inputs, torch.Generator().manual_seed(0), range(400)
    )
    Distillation(design, Teacher(), states(0.0))(student, batch)
    (scales,) = student.scales
    assert float(scales.min()) == pytest.approx(SCALES[0], abs=0.1)
    assert float(scales.max()) == pytest.approx(SCALES[1], abs=0.1)
