"""A student is taught what guidance makes of its teacher."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from latentry_shapes._exercises import Exercise
from latentry_shapes.designs import Flux
from latentry_shapes.distillation import SCALES, Distillation
from latentry_shapes.encoders import States
from latentry_shapes.objectives import Levels


class Teacher:
    """Says the caption's first number everywhere; remembers the scales it is told."""

    def __init__(self) -> None:
        self.scales: list[Tensor] = []

    def __call__(self, packed: Tensor, *, encoder_hidden_states: Tensor, guidance: Tensor, **_: Tensor) -> object:
        self.scales.append(guidance)
        said = encoder_hidden_states[:, :1, :1].expand_as(packed)
        return type("Said", (), {"sample": said})()


def states(*captions: float) -> list[States]:
    tokens = torch.tensor(captions).view(-1, 1, 1).expand(-1, 24, 128)
    return [States(tokens, tokens[:, 0], tokens[:, 0]), States(tokens)]


@pytest.mark.parametrize("scale", [1.0, 3.0, 5.0])
def test_the_target_is_guided_at_the_scale(scale: float) -> None:
    design, teacher = Flux(begins_with="shapes-flux-base"), Teacher()
    seen, flat = torch.zeros(2, 16, 4, 4), torch.zeros(2, 1, 1, 1)
    given = Exercise(seen, Levels(flat, flat, torch.zeros(2)), states(3.0, 7.0), seen, torch.Generator())
    target = Distillation(design, teacher, states(2.0)).target(given, torch.full((2,), scale))
    for picture, caption in zip(target, (3.0, 7.0), strict=True):
        assert picture.unique().tolist() == pytest.approx([2.0 + scale * (caption - 2.0)])
    assert all(told.unique().tolist() == [1.0] for told in teacher.scales)


def test_the_student_is_told_scales_from_all_of_the_range() -> None:
    design, student = Flux(begins_with="shapes-flux-base"), Teacher()
    seen, flat = torch.zeros(400, 16, 4, 4), torch.zeros(400, 1, 1, 1)
    told, draws = states(*[1.0] * 400), torch.Generator().manual_seed(0)
    Distillation(design, Teacher(), states(0.0))(student, Exercise(seen, Levels(flat, flat, flat), told, seen, draws))
    (scales,) = student.scales
    assert float(scales.min()) == pytest.approx(SCALES[0], abs=0.1)
    assert float(scales.max()) == pytest.approx(SCALES[1], abs=0.1)
