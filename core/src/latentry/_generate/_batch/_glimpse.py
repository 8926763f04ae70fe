"""What the pictures that are being drawn will roughly be."""

from __future__ import annotations

from typing import NamedTuple

from PIL.Image import Image, Resampling
from torch import Tensor

from latentry._contract._inference import inference, normal
from latentry._contract._model import Model, Previews
from latentry._discovery import plugin_call
from latentry._generate._batch._images import to_pictures
from latentry._jobs._company import Company
from latentry._numerics._denoised import Denoised
from latentry._numerics._plan import Plan
from latentry._numerics._processes._point import Query
from latentry._numerics._processes._prediction import forms


class _Answered(NamedTuple):
    plan: Plan
    query: Query
    output: Tensor


class BatchGlimpse:
    """See ``latentry.Glimpse``. It holds the last evaluation, and computes only what is asked for.

    Args:
        model: has ``preview``, or has not.
        pictures: indices in the request.
        size: width and height of the pictures.
        company: with whom the model is shared.
    """

    def __init__(self, model: Model, pictures: tuple[int, ...], size: tuple[int, int], company: Company) -> None:
        self.pictures = pictures
        self._model, self._size, self._company = model, size, company
        self._last: _Answered | None = None

    def take(self, plan: Plan, query: Query, output: Tensor) -> None:
        """Takes note of an evaluation and its guided output."""
        self._last = _Answered(plan, query, output)

    def x0(self) -> Tensor:
        """The clean latents that the last evaluation predicts."""
        if self._last is None:
            raise RuntimeError("nothing has been evaluated yet")
        plan, query, output = self._last
        shape = forms(plan.prediction, query.point, plan.process.data_std)
        return Denoised(query.x, query.point, output.to(query.x.dtype), shape).x0

    def images(self) -> tuple[Image, ...]:
        """The pictures by ``Model.preview``, at their size; empty where the model has none."""
        model = self._model
        if not isinstance(model, Previews):
            return ()
        x0 = self.x0()

        def shown() -> Tensor:
            with plugin_call(model), inference():
                return normal(model.preview(x0))

        return tuple(
            picture.resize(self._size, Resampling.BICUBIC) for picture in to_pictures(self._company.run(shown))
        )
