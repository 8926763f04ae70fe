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
        before: commands that make the files which ``use`` reads, with ``{name}`` and ``{module}``.
    """

    noun: str
    use: str
    needs: tuple[str, ...] = ()
    before: tuple[str, ...] = ()

    def commands(self, name: str, module: str) -> list[str]:
        """What uses one of this name, in order."""
        return [command.format(name=name, module=module) for command in (*self.before, self.use)]


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "scheduler": Kind("scheduler", 'latentry generate "a red circle" --scheduler {name}'),
        "sigmas": Kind("sigma schedule", 'latentry generate "a red circle" --sigmas {name}'),
        "guidance": Kind("guidance method", 'latentry generate "a red circle" --guidance-method {name}'),
        "conditioner": Kind(
            "conditioner",
            'latentry generate "a red circle" --control {name}.safetensors=square.png',
            ("latentry-sd", "latentry-shapes"),
            (
                "python -m {module}.example {name}.safetensors",
                'latentry generate "a blue square" --output square.png',
            ),
        ),
        "family": Kind(
            "model family",
            'latentry generate "red" --model example.safetensors',
            ("latentry-euler",),
            ("python -m {module}.example example.safetensors",),
        ),
        "attention": Kind("attention backend", 'latentry generate "a red circle" --attention {name}'),
        "checkpoint": Kind("model", 'latentry generate "red" --model {name}'),
        "command": Kind("command", "latentry {name}"),
        "executor": Kind("executor", "latentry batch prompts.txt --output pictures --executor {name}"),
        "source": Kind("model source", 'latentry generate "a red circle" --model {name}/NAME'),
    }
)
LOOSE = ("scheduler", "sigmas", "guidance")
"""Kinds that can be a single file."""
