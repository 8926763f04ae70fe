"""A model in memory, and what requests share of it."""

from __future__ import annotations

import logging
from typing import Any

from latentry._contract._model import Model
from latentry._generate._prompt_cache import Prompts
from latentry._generate._shared_setting import Turns

log = logging.getLogger("latentry")
SHOWN = 3
"""How many tensors a warning names."""


class Loaded:
    """One model instance; tells of tensors of its files that are not known.

    Attributes:
        model: the networks.
        prompts: what they make of prompts.
        turns: what is set on them at present.
    """

    def __init__(self, model: Model) -> None:
        self.model, self.prompts = model, Prompts(model)
        self.turns: Turns[Any] = Turns()
        if left := model.report.unexpected:
            more = f" and {len(left) - SHOWN} more" if len(left) > SHOWN else ""
            log.warning("not known, and not used: %s%s", ", ".join(left[:SHOWN]), more)
