"""The weights in the folder of a part."""

from __future__ import annotations

from pathlib import Path

from latentry import ModelError
from latentry_diffusers.files.errors import PICKLES, pickle_refused

NAMES = ("diffusion_pytorch_model", "model")
"""Stems of the usual files: diffusers' and transformers'."""


def find_weights(folder: Path) -> Path:
    """The file of weights in a part's folder, or the index of its shards.

    Files of the usual names come first; ``model.fp16.safetensors`` and the like serve where they are the only ones.

    Raises:
        ModelError: there is none, or there are several that nothing tells apart.
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
            why=f"{', '.join(each.name for each in found[:3])}: none has the usual name, and no index joins them.",
            remedy=f"Name one of them {NAMES[0]}.safetensors, or get the index that belongs to them.",
        )
    pickles = sorted(each for each in folder.iterdir() if each.suffix in PICKLES)
    if pickles:
        raise pickle_refused(pickles[0])
    raise ModelError(
        f"{folder} holds no weights.", why="There is no .safetensors file.", remedy="Get the checkpoint anew."
    )
