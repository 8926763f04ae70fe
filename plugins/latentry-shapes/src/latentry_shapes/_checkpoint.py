"""Where the packaged model lies."""

from __future__ import annotations

from pathlib import Path


def folder() -> Path:
    """The diffusers folder of the trained model."""
    return Path(__file__).parent / "models" / "shapes"
