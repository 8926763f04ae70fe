"""The files of a model: its own, and the parts that were named in place of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from latentry._contract._model_source import ResolvedPath
from latentry._discovery import PluginHost
from latentry._errors import ModelError
from latentry._files._finding._access import Access
from latentry._files._finding._find import find, installed, naming_field, what_to_give
from latentry._files._safety import check_weights
from latentry._specs import ModelFiles, PartRole


@dataclass(frozen=True)
class PartSources:
    """Where parts of a model come from if not from the model itself, as the request has it: paths or names."""

    vae: str | None = None
    text_encoders: tuple[str, ...] = ()
    tokenizer: str | None = None
    config: str | None = None


NO_PARTS = PartSources()


def gather(host: PluginHost, path: Path, parts: PartSources, access: Access) -> tuple[ModelFiles, PartSources]:
    """The files of a model, and the names that find the same parts again.

    Args:
        host: of the installed models, whose tokenizers and configurations can be named.
        path: of the model itself.
        parts: where other parts come from.
        access: how model sources may be reached; the revision is the model's alone.

    Raises:
        ModelError: something does not exist, is damaged or unsafe.
    """
    access = replace(access, revision=None)
    vae = _weights(host, "vae", parts.vae, access)
    encoders = [_weights(host, "text_encoders", text, access) for text in parts.text_encoders]
    tokenizer = _folder(host, "tokenizer", parts.tokenizer, access)
    config = _folder(host, "config", parts.config, access)
    given: list[tuple[PartRole, ResolvedPath | None]] = [("vae", vae)]
    given += [("text-encoder", encoder) for encoder in encoders]
    given += [("tokenizer", tokenizer)]
    files = tuple((role, found.path) for role, found in given if found is not None)
    named = PartSources(
        vae.pinned if vae else None,
        tuple(encoder.pinned for encoder in encoders if encoder),
        tokenizer.pinned if tokenizer else None,
        config.pinned if config else None,
    )
    return ModelFiles(path, files, config.path if config else None), named


def _weights(host: PluginHost, field: str, text: str | None, access: Access) -> ResolvedPath | None:
    if text is None:
        return None
    with naming_field(field):
        found = find(host, text, access) or _missing(host, field, text)
        check_weights(found.path)
    return found


def _folder(host: PluginHost, field: str, text: str | None, access: Access) -> ResolvedPath | None:
    if text is None:
        return None
    if text in host.checkpoints:
        return ResolvedPath(installed(host, text), text)
    with naming_field(field):
        found = find(host, text, access, weights=False) or _missing(host, field, text)
    if not found.path.is_dir():
        raise ModelError(
            f"The {WORDS[field]} {text!r} is a file, not a folder.",
            why="Configurations and vocabularies are several files, or are in folders of their own.",
            remedy="Give the folder of a tokenizer, or of a whole model in the diffusers layout.",
            field=field,
        )
    return found


WORDS = {
    "vae": "autoencoder",
    "text_encoders": "text encoder",
    "tokenizer": "tokenizer",
    "config": "configuration folder",
}
"""What messages call the request's fields."""


def _missing(host: PluginHost, field: str, text: str) -> NoReturn:
    raise ModelError(
        f"There is no {WORDS[field]} {text!r}.",
        why="There is no such file or folder.",
        remedy=what_to_give(host, text),
    )
