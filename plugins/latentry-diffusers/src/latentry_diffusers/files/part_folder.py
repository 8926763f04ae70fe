"""Finds the weights in the folder of a part."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from latentry import ModelError
from latentry_diffusers.files.errors import PICKLES, pickle_refused

NAMES = ("diffusion_pytorch_model", "model")
"""The usual file names, in diffusers and in transformers."""


def find_each(folders: Iterable[Path]) -> dict[Path, Path]:
    """The weights of several folders, by folder; see ``find_weights``."""
    return {folder: find_weights(folder) for folder in folders}


def find_weights(folder: Path) -> Path:
    """The file of weights in a part's folder, or the index of its shards.

    Files of the usual names come first; ``model.fp16.safetensors`` and the like are taken where they are the only ones.

    Raises:
        ModelError: there is none, or there are several and nothing tells them apart.
    """
    usual = [folder / f"{name}.safetensors{end}" for name in NAMES for end in ("", ".index.json")]
    for file in usual:
        if file.is_file():
            return file
    indices = sorted(each for each in folder.glob("*.json") if ".safetensors.index." in each.name)
    found = indices or sorted((*folder.glob("*.safetensors"), *folder.glob("*.sft"), *folder.glob("*.gguf")))
    if len(found) == 1:
        return found[0]
    if found:
        raise ModelError(
            f"{folder} holds several files of weights.",
            why=f"{', '.join(each.name for each in found[:3])}: none has the usual name, and there is no index.",
            remedy=f"Name one of them {NAMES[0]}.safetensors, or download the index that belongs to them.",
        )
    pickles = sorted(each for each in folder.iterdir() if each.suffix in PICKLES)
    if pickles:
        raise pickle_refused(pickles[0])
    raise ModelError(
        f"{folder} holds no weights.", why="There is no .safetensors file.", remedy="Download the checkpoint again."
    )
