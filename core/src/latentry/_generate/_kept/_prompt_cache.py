"""Encoded prompts of one model, kept for later batches and requests."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock

from latentry._contract._conditioning import Conditioning, PromptSettings
from latentry._contract._inference import inference, normal
from latentry._contract._model import Model
from latentry._discovery import plugin_call
from latentry._generate._batch._finite import check_encoded

CAPACITY = 32
"""How many encoded prompts are kept; the least recently used goes first."""


class PromptCache:
    """Encodes prompts with one model, each only once. A prompt is encoded alone, so that it depends on no other.

    Args:
        model: its encoders are used by one thread at a time.
        capacity: how many encoded prompts are kept.
    """

    def __init__(self, model: Model, capacity: int = CAPACITY) -> None:
        self._model, self._capacity, self._call = model, capacity, plugin_call(model)
        self._kept: OrderedDict[tuple[str, PromptSettings, Hashable], Conditioning] = OrderedDict()
        self._lock = Lock()

    def __call__(self, prompt: str, settings: PromptSettings, serving: Hashable = None) -> Conditioning:
        """The conditioning of a prompt, with batch size 1.

        Args:
            prompt: the text.
            settings: what else the encoding depends on.
            serving: LoRAs on the encoders and the backends of their attention, which can change the last bit.

        Raises:
            NonFiniteError: the encoding is not finite.
        """
        key = (prompt, settings, serving)
        with self._lock:
            if key not in self._kept:
                with self._call, inference():
                    encoded = self._model.encode_prompt([prompt], settings)
                check_encoded(encoded.tensors, self._model, prompt)
                self._kept[key] = Conditioning({name: normal(tensor) for name, tensor in encoded.tensors.items()})
            self._kept.move_to_end(key)
            while len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
            return self._kept[key]
