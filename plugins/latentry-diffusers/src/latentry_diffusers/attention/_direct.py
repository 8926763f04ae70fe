"""Calling a layer's processor without diffusers' look at its signature, which takes some 40 µs in every call."""

from __future__ import annotations

from types import MethodType
from typing import Any

OWN = "forward"
"""Where a module keeps what it calls in place of its class's ``forward``."""


def call_directly(layer: Any) -> None:
    """Has one layer, and no other of its class, call its processor at once."""
    layer.__dict__[OWN] = MethodType(_forward, layer)  # a method of the layer, so that a copy of it calls the copy


def call_as_diffusers(layer: Any) -> None:
    """Undoes ``call_directly``."""
    layer.__dict__.pop(OWN, None)


def _forward(layer: Any, *given: Any, **options: Any) -> Any:
    """The same as the class's own, for processors that say what they take.

    diffusers drops options that a processor does not take, with a warning; then its own way is gone.
    """
    processor = layer.processor
    if options.keys() <= getattr(processor, "takes", frozenset()):
        return processor(layer, *given, **options)
    return type(layer).forward(layer, *given, **options)
