"""The kinds of plugin that have templates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Kind:
    """A kind of plugin.

    Attributes:
        noun: what a sentence calls it.
        use: the command that uses one, with ``{name}``.
        needs: distributions that its project needs besides the core.
    """

    noun: str
    use: str
    needs: tuple[str, ...] = ()


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "scheduler": Kind("scheduler", 'latentry generate "a red circle" --scheduler {name}'),
        "sigmas": Kind("sigma schedule", 'latentry generate "a red circle" --sigmas {name}'),
        "guidance": Kind("guidance method", 'latentry generate "a red circle" --guidance-method {name}'),
        "conditioner": Kind(
            "conditioner",
            'latentry generate "a red circle" --control {name}.safetensors=picture.png',
            ("latentry-sd", "latentry-shapes"),
        ),
        "family": Kind("model family", 'latentry generate "red" --model example.safetensors', ("latentry-euler",)),
        "attention": Kind("attention backend", 'latentry generate "a red circle" --attention {name}'),
        "checkpoint": Kind("model", 'latentry generate "red" --model {name}'),
        "command": Kind("command", "latentry {name}"),
        "executor": Kind("executor", "latentry batch prompts.txt --output pictures --executor {name}"),
        "source": Kind("model source", 'latentry generate "a red circle" --model {name}/NAME'),
    }
)
LOOSE = ("scheduler", "sigmas", "guidance")
"""Kinds that can be a single file."""
