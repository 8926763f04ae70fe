"""Where the packaged models lie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def _folder(name: str) -> Path:
    return Path(__file__).parent / "models" / name


def shapes() -> Path:
    """The diffusers folder of the model that predicts noise."""
    return _folder("shapes")


def shapes_v() -> Path:
    """The diffusers folder of the model that predicts v."""
    return _folder("shapes-v")


def packaged() -> Mapping[str, Path]:
    """The folders of all models, by the name they are registered under."""
    return {"shapes": shapes(), "shapes-v": shapes_v()}
