"""The errors of files of weights that cannot be read."""

from __future__ import annotations

from pathlib import Path

from latentry import ModelError

PICKLES = frozenset({".ckpt", ".pt", ".pth", ".bin", ".pkl"})


def pickle_refused(path: Path) -> ModelError:
    """The error of every pickle."""
    return ModelError(
        f"{path} is a pickle and is refused.",
        why="Loading a pickle runs code that the file brings along.",
        remedy="Use the checkpoint's safetensors files, or convert it on a machine that you can throw away.",
    )


def damaged(path: Path, error: Exception) -> ModelError:
    """The error of a safetensors file that its library does not read."""
    size = path.stat().st_size if path.is_file() else 0
    return ModelError(
        f"{path} is damaged: it is no complete safetensors file.",
        why=f"{type(error).__name__}: {error} (the file has {size:,} bytes).",
        remedy="Copy or download it again.",
    )
