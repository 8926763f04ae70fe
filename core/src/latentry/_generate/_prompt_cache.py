"""Prompts a model was told before are not encoded again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock

from latentry._contract._conditioning import Conditioning, PromptSettings
from latentry._contract._model import Model

MOST = 32
"""How many are kept; the one unused for the longest time goes first."""


class Prompts:
    """What one model makes of prompts. Each is encoded alone, so that it depends on no other of its batch.

    Args:
        model: whose encoders are used, by one thread at a time.
        most: how many are kept.
    """

    def __init__(self, model: Model, most: int = MOST) -> None:
        self._model, self._most = model, most
        self._kept: OrderedDict[tuple[str, PromptSettings, Hashable], Conditioning] = OrderedDict()
        self._lock = Lock()

    def __call__(self, prompt: str, settings: PromptSettings, serving: Hashable = None) -> Conditioning:
        """What the network is told for a prompt; of batch 1.

        Args:
            prompt: the words.
            settings: what they are encoded with.
            serving: LoRAs that change the encoders, and what computes their attention, on which the last bit depends.
        """
        key = (prompt, settings, serving)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = self._model.encode_prompt([prompt], settings)
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
            return self._kept[key]
