"""What a checkpoint lacks, and the option that gives it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from latentry import ModelFiles
from latentry_diffusers.files.headers import Headers, is_weights
from latentry_diffusers.files.read import Read, shared_reader
from latentry_diffusers.files.scales import unreadable
from latentry_diffusers.recognise.text_encoders import text_encoder

AUTOENCODER = ("first_stage_model.", "vae.")
"""How the names of an autoencoder begin in the file of a model."""

TOKENIZERS = "the tokenizers, which no such file holds: give --tokenizer FOLDER unless the Hub's cache has them"


class Need(NamedTuple):
    """A text encoder that a model has.

    Attributes:
        name: of the published one, e.g. ``CLIP-L``.
        prefixes: how the names of its tensors begin in the file of a model.
        optional: whether the model runs without.
    """

    name: str
    prefixes: tuple[str, ...]
    optional: bool = False


def missing_from_folder(files: ModelFiles, missing: Sequence[str]) -> tuple[str, ...]:
    """The folders of parts that are missing and not given separately."""
    roles = [role for role, _ in files.parts]
    tokenizers = "tokenizer" in roles or (files.config is not None and any(files.config.glob("tokenizer*")))
    left = [part for part in missing if not ((part == "vae" and "vae" in roles) or (tokenizers and "tokeniz" in part))]
    for _ in range(roles.count("text-encoder")):
        if (encoder := next((part for part in left if part.startswith("text_encoder")), None)) is not None:
            left.remove(encoder)
    return tuple(left)


def missing_from_file(files: ModelFiles, tensors: Headers, needs: Sequence[Need]) -> tuple[str, ...]:
    """The parts that a file lacks and that are not given separately; no file holds a tokenizer.

    Raises:
        ModelError: a part that is given is damaged.
    """
    missing = []
    roles = {role for role, _ in files.parts}
    if "vae" not in roles and not _has(tensors, AUTOENCODER):
        missing.append("the autoencoder: give --vae FILE")
    missing += [f"the text encoder {name}: give --text-encoder FILE" for name in _encoders(files, tensors, needs)]
    if "tokenizer" not in roles and not (files.config is not None and any(files.config.glob("tokenizer*"))):
        missing.append(TOKENIZERS)
    return tuple(missing)


def _encoders(files: ModelFiles, tensors: Headers, needs: Sequence[Need]) -> list[str]:
    """The published names of missing text encoders; a given one of unpublished shape can stand for any."""
    lacking = [need for need in needs if not _has(tensors, need.prefixes)]
    read = shared_reader(files)
    given = [_name(path, read) for role, path in files.parts if role == "text-encoder"]
    lacking = [need for need in lacking if need.name not in given and not need.optional]
    return [need.name for need in lacking[given.count(None) :]]


def _has(tensors: Headers, prefixes: tuple[str, ...]) -> bool:
    """Whether a file holds a part in a supported form."""
    return any(name.startswith(prefixes) for name in tensors) and unreadable(tensors, prefixes) is None


def _name(path: Path, read: Read) -> str | None:
    if not is_weights(path):
        return None
    found = text_encoder(read(path).tensors)
    return None if found is None else found.name
