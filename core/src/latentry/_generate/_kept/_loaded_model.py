"""A model in memory, with what requests share of it."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn

from latentry._capture._captured import Captures, captured
from latentry._capture._form import has_code_inside, settings_of
from latentry._capture._packed import PackedConvolution, packed
from latentry._contract._model import Model
from latentry._generate._batch._finite import denoiser_of
from latentry._generate._kept._prompt_cache import PromptCache
from latentry._generate._kept._shared_setting import SharedSetting
from latentry._request._memory_policy import Capture

log = logging.getLogger("latentry")
AUTO_AFTER = 2
"""Generations of a kind before ``auto`` captures the network: most people draw one."""
AUTO_LIMIT = 0.25
"""Seconds of an evaluation above which ``auto`` leaves a network as it is: Python is a small share of them."""
AUTO_SHARED = 100
"""Passes of a kind that several requests shared, before ``auto`` captures it for them: recording takes as long as four,
and the more rows, the less of a pass is Python."""
SETTINGS = 4
"""Of how many settings a model keeps its graphs; they share its weights."""
NAMED = 3
"""How many tensors a warning names."""


class LoadedModel:
    """One model instance. Logs a warning about tensors of its files that no network has.

    Attributes:
        model: the networks.
        prompts: their encoded prompts.
        setting: the LoRAs, attention and tiling that are set on them at present.
        captures: graphs of the networks, by setting and part.
    """

    def __init__(self, model: Model) -> None:
        self.model, self.prompts = model, PromptCache(model)
        self.setting: SharedSetting[Any] = SharedSetting()
        self.captures: dict[Hashable, Captures] = {}
        self._packed: set[str] | None = None
        self._convolutions: dict[nn.Module, PackedConvolution] = {}
        if unexpected := model.report.unexpected:
            more = f" and {len(unexpected) - NAMED} more" if len(unexpected) > NAMED else ""
            log.warning("unknown tensors were not loaded: %s%s", ", ".join(unexpected[:NAMED]), more)

    @contextmanager
    def capturing(self, how: Capture, setting: Hashable, settings: Mapping[str, Hashable]) -> Iterator[None]:
        """Runs the denoiser as graphs, as far as it can be captured.

        Args:
            how: as in ``MemoryPolicy``.
            setting: equal for equal LoRAs, attention and convolutions, which a graph holds.
            settings: of the parts, as a host left them.
        """
        with ExitStack() as stack:
            for part in self._capturable(how) if how != "off" else ():
                key = (how, setting, part)
                captures = self.captures.pop(key, None) or _captures(how)
                self.captures[key] = captures  # the last one used is the last one to go
                stack.enter_context(captured(self.model.networks[part], captures, settings[part]))
            while len(self.captures) > SETTINGS:
                del self.captures[next(iter(self.captures))]
            yield

    def _capturable(self, how: Capture) -> tuple[str, ...]:
        """The parts of the denoiser with plain weights: a graph would hold packed ones as they are computed with."""
        if self._packed is None:
            self._packed = {
                part
                for part in denoiser_of(self.model).parts
                if any(not weight.is_floating_point() for weight in self.model.networks[part].parameters())
            }
            if self._packed and how != "auto":
                log.warning(
                    "the %s keeps its weights in fewer bits than it computes with, and is not captured",
                    " and the ".join(sorted(self._packed)),
                )
        return tuple(part for part in denoiser_of(self.model).parts if part not in self._packed)

    def settings(self) -> Mapping[str, Hashable]:
        """What is set on the parts of the denoiser; attention must not be set, which brings objects of its own."""
        return {part: settings_of(self.model.networks[part]) for part in denoiser_of(self.model).parts}

    @property
    def is_watched(self) -> bool:
        """Whether a host has put code of its own into the denoiser, such as hooks, which graphs would pass by.

        LoRAs and attention must not be set, since they bring some too.
        """
        return any(has_code_inside(self.model.networks[part]) for part in denoiser_of(self.model).parts)

    @contextmanager
    def packing(self) -> Iterator[None]:
        """Runs the denoiser's convolutions with their weights in order, which differs in the last bits.

        The copies are made anew for each request, in about the time of one call without them: what stays in memory is
        the weights alone, and host code may change those in between.
        """
        with ExitStack() as stack:
            for part in denoiser_of(self.model).parts:
                stack.enter_context(packed(self.model.networks[part], self._convolutions))
            yield


def _captures(how: Capture) -> Captures:
    if how == "off" or how == "auto":
        return Captures("graph", AUTO_AFTER, AUTO_LIMIT, AUTO_SHARED)
    return Captures(how)
