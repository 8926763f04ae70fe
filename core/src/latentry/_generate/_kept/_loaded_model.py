"""A model in memory, with what requests share of it."""

from __future__ import annotations

import logging
from typing import Any

from latentry._contract._model import Model
from latentry._generate._kept._prompt_cache import PromptCache
from latentry._generate._kept._shared_setting import SharedSetting

log = logging.getLogger("latentry")
NAMED = 3
"""How many tensors a warning names."""


class LoadedModel:
    """One model instance. Logs a warning about tensors of its files that no network has.

    Attributes:
        model: the networks.
        prompts: their encoded prompts.
        setting: the LoRAs, attention and tiling that are set on them at present.
    """

    def __init__(self, model: Model) -> None:
        self.model, self.prompts = model, PromptCache(model)
        self.setting: SharedSetting[Any] = SharedSetting()
        if unexpected := model.report.unexpected:
            more = f" and {len(unexpected) - NAMED} more" if len(unexpected) > NAMED else ""
            log.warning("unknown tensors were not loaded: %s%s", ", ".join(unexpected[:NAMED]), more)
