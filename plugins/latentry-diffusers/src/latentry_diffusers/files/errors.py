"""The errors for files of weights that are not read."""

from __future__ import annotations

from pathlib import Path

from latentry import ModelError

PICKLES = frozenset({".ckpt", ".pt", ".pth", ".bin", ".pkl"})


def pickle_refused(path: Path) -> ModelError:
    """The error for every pickle."""
    return ModelError(
        f"{path} is a pickle and is refused.",
        why="Loading a pickle runs code that comes with the file.",
        remedy="Use the checkpoint's safetensors files, or convert it on a machine that you can throw away.",
    )


def damaged(path: Path, error: Exception) -> ModelError:
    """The error for a safetensors file that its library cannot read."""
    size = path.stat().st_size if path.is_file() else 0
    return ModelError(
        f"{path} is damaged: it is not a complete safetensors file.",
        why=f"{type(error).__name__}: {error} (the file has {size:,} bytes).",
        remedy="Download or copy it again.",
    )
