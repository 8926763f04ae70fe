"""The loose plugin ``plugins/toy`` and its checkpoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from latentry import PluginHost

PLUGIN = Path(__file__).parent / "plugins" / "toy"


def toy_host(*, load: tuple[str, ...] = ("latentry",)) -> PluginHost:
    """A host with the toys and the core's own sigma schedules, whatever else is installed."""
    return PluginHost(load=load, plugin_dirs=[PLUGIN], strict=True)


def write_toy_file(path: Path, **about: Any) -> Path:
    """The same in one file of weights."""
    import torch
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(2)}, path, {"toy.json": json.dumps({"kind": "vp"} | about)})
    return path


def write_toy(folder: Path, **about: Any) -> Path:
    """A checkpoint of a toy family; keywords go into its ``toy.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "toy.json").write_text(json.dumps({"kind": "vp"} | about))
    return folder
