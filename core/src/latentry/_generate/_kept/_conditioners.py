"""The conditioners in memory: those of the last request, and those that requests use."""

from __future__ import annotations

from collections.abc import Hashable
from threading import Lock
from typing import Any
from weakref import WeakValueDictionary

from latentry._contract._conditioner import Conditioner
from latentry._discovery import plugin_call
from latentry._generate._kept._shared_setting import SharedSetting
from latentry._memory._out_of_memory import reporting_out_of_memory
from latentry._resolve._setup import Setup


class LoadedConditioner:
    """One conditioner instance.

    Attributes:
        conditioner: the networks.
        setting: the attention that is set on them at present.
    """

    def __init__(self, conditioner: Conditioner) -> None:
        self.conditioner = conditioner
        self.setting: SharedSetting[Any] = SharedSetting()


class Conditioners:
    """Loads conditioners, each once, and keeps those of the last request; others live as long as a request has them."""

    def __init__(self) -> None:
        self._last: tuple[LoadedConditioner, ...] = ()
        self._living: WeakValueDictionary[Hashable, LoadedConditioner] = WeakValueDictionary()
        self._loading = Lock()

    def load(self, setup: Setup) -> tuple[LoadedConditioner, ...]:
        """One for each control of a setup."""
        with self._loading:
            here = {key: self._living.get(key) for key, _ in setup.conditioners}
            self._last = ()  # others go first, before their memory is needed
            for key, checkpoint in setup.conditioners:
                if here[key] is None:
                    with reporting_out_of_memory("loading a conditioner"), plugin_call(checkpoint):
                        here[key] = LoadedConditioner(checkpoint.load(setup.home, setup.dtype))
            found = tuple(each for key, _ in setup.conditioners if (each := here[key]) is not None)
            self._last = found
            self._living.update({key: each for key, each in here.items() if each is not None})
            return found
