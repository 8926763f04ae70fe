"""Calls a layer's processor without inspecting its signature, which takes diffusers about 40 µs per call."""

from __future__ import annotations

from types import MethodType
from typing import Any

OWN = "forward"
"""The instance attribute that overrides the ``forward`` of the module's class."""


def call_directly(layer: Any) -> None:
    """Makes this layer, and no other of its class, call its processor directly."""
    layer.__dict__[OWN] = MethodType(_forward, layer)  # a method of the layer, so that a copy of it calls the copy


def call_as_diffusers(layer: Any) -> None:
    """Undoes ``call_directly``."""
    layer.__dict__.pop(OWN, None)


def _forward(layer: Any, *given: Any, **options: Any) -> Any:
    """Does the same as the ``forward`` of the class, for processors that declare their options in ``takes``.

    With any other option it calls diffusers' ``forward``, which drops the option with a warning.
    """
    processor = layer.processor
    if options.keys() <= getattr(processor, "takes", frozenset()):
        return processor(layer, *given, **options)
    return type(layer).forward(layer, *given, **options)
