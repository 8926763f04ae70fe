"""One attention layer of a diffusers network, and what computes in it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from latentry import IncompatibleError
from latentry.attention import AttentionBackend, AttentionDemand
from latentry_diffusers.attention._direct import call_as_diffusers, call_directly
from latentry_diffusers.attention._flux import FluxProcessor
from latentry_diffusers.attention._image import BackendProcessor
from latentry_diffusers.attention._joint import JointProcessor
from latentry_diffusers.attention._processor import Processor

Processors = Mapping[str, type[Processor]]
"""By the class of the processor that each replaces."""

PROCESSORS: Processors = MappingProxyType(
    {
        "AttnProcessor": BackendProcessor,
        "AttnProcessor2_0": BackendProcessor,
        "JointAttnProcessor2_0": JointProcessor,
        "FluxAttnProcessor": FluxProcessor,
    }
)
"""The replacements for processors that the networks of several families have; a family adds its own."""


class Layer:
    """A layer with the processor it came with.

    Args:
        layer: diffusers' ``Attention`` or ``FluxAttention``.
        part: the network's name, e.g. ``vae``.
        name: the layer's name in the network.
        processors: the replacement for each processor.

    Attributes:
        role: see ``ROLES``.
        label: which layer it is, in words.
    """

    def __init__(self, layer: Any, part: str, name: str, processors: Processors = PROCESSORS) -> None:
        self._layer, self._own, self._processors = layer, layer.processor, processors
        self.role = "vae" if part == "vae" else _role(layer, processors)
        self.label = f"the {self.role} attention of the {part.replace('_', ' ')} ({name})"

    @property
    def demand(self) -> AttentionDemand:
        """What a backend can know about its calls beforehand."""
        return AttentionDemand(head_size=self._layer.inner_dim // self._layer.heads)

    @property
    def state(self) -> object:
        """The processor that it has now."""
        return self._layer.processor

    @state.setter
    def state(self, processor: object) -> None:
        self._layer.set_processor(processor)
        if hasattr(processor, "takes"):
            call_directly(self._layer)
        else:
            call_as_diffusers(self._layer)

    def check(self) -> None:
        """Refuses a layer whose processor computes anything but plain attention, such as one of an adapter.

        Raises:
            IncompatibleError: there is no replacement here for its processor.
        """
        kind = type(self._own).__name__
        if kind not in self._processors:
            raise IncompatibleError(
                f"No backend can serve {self.label}.",
                why=f"It has a processor of its own, {kind}.",
                remedy="Remove the adapter, or use the network's own attention for the role: native.",
            )

    def serve(self, backend: AttentionBackend | None) -> None:
        """Serves the layer through a backend; None restores its own processor."""
        self.state = self._own if backend is None else self._processors[type(self._own).__name__](backend)


def _role(layer: Any, processors: Processors) -> str:
    """The role of a denoiser's layer; joint layers have projections for the text, or process both as one sequence."""
    if getattr(layer, "add_q_proj", None) is not None:
        return "joint"
    said = getattr(processors.get(type(layer.processor).__name__), "role", None)
    return said or ("cross" if layer.is_cross_attention else "self")
