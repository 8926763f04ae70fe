"""A model in memory, and what requests share of it."""

from __future__ import annotations

from typing import Any

from latentry._engine._model import Model
from latentry._engine._prompts import Prompts
from latentry._engine._turns import Turns


class Loaded:
    """One model instance.

    Attributes:
        model: the networks.
        prompts: what they make of prompts.
        turns: what is set on them at present.
    """

    def __init__(self, model: Model) -> None:
        self.model, self.prompts = model, Prompts(model)
        self.turns: Turns[Any] = Turns()
