"""What a folder in the diffusers layout says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from latentry_diffusers.files.configs import read_json


class Pipeline(NamedTuple):
    """What a folder in the diffusers layout says of itself.

    Attributes:
        name: class of its pipeline.
        listed: ``model_index.json``.
        denoiser: ``config.json`` of its UNet or transformer.
    """

    name: str
    listed: Mapping[str, Any]
    denoiser: Mapping[str, Any]


def read_pipeline(path: Path, denoiser: str, *, begins: str) -> Pipeline | None:
    """A folder in the diffusers layout; None where it is not one, or its pipeline is another.

    Args:
        path: the folder.
        denoiser: name of the folder in it that holds the denoiser.
        begins: how the class of the pipeline begins.
    """
    index, config = read_json(path / "model_index.json"), read_json(path / denoiser / "config.json")
    if index is None or config is None:
        return None
    name = str(index.get("_class_name", ""))
    return Pipeline(name, index, config) if name.startswith(begins) else None
