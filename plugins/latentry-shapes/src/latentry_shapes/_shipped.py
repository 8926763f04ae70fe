"""The trained models: this package's, and those of the packages that are named after it."""

from __future__ import annotations

from pathlib import Path

from latentry import PluginHost

OURS = "latentry-shapes"


def qualified(model: str) -> str | None:
    """``distribution:name`` of an installed model of ours; None for anything else."""
    checkpoints = PluginHost().checkpoints
    if not checkpoints.registered(model):
        return None
    name = checkpoints.qualified(model)
    distribution = name.partition(":")[0]
    return name if distribution == OURS or distribution.startswith(f"{OURS}-") else None


def folder_of(model: str) -> Path:
    """Folder of an installed model of ours, or the path that the text is."""
    name = qualified(model)
    return Path(model) if name is None else Path(PluginHost().checkpoints.load(name)())
