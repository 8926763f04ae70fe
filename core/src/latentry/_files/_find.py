"""From what someone types for a file, a folder or a repository of the hub to where that lies here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from latentry._discovery import PluginHost
from latentry._errors import ModelError, OptionError
from latentry._files._hub import fetch, hub_name
from latentry._files._safety import check_weights
from latentry._specs import ModelFiles, PartRole


def _nobody(text: str) -> None:
    """Nobody is waiting."""


@dataclass(frozen=True)
class Access:
    """How the hub may be asked.

    Attributes:
        revision: branch, tag or commit of the model, where it is the hub's; None for the main branch.
        offline: use the cache alone.
        tell: takes a line for people while something is downloaded.
    """

    revision: str | None = None
    offline: bool = False
    tell: Callable[[str], None] = _nobody


NEWEST = Access()
"""The newest there is, from the hub too."""


@dataclass(frozen=True)
class Beside:
    """What is named beside a model, as the request has it: paths, or names of the hub."""

    vae: str | None = None
    text_encoders: tuple[str, ...] = ()
    tokenizer: str | None = None
    config: str | None = None


NOTHING = Beside()


@dataclass(frozen=True)
class Place:
    """Where something lies.

    Attributes:
        path: a file or a folder.
        name: what finds the very same again, together with the commit: an absolute path, or a name of the hub.
        commit: of a repository of the hub.
    """

    path: Path
    name: str
    commit: str | None = None

    @property
    def pinned(self) -> str:
        """Name and commit in one."""
        return f"{self.name}@{self.commit}" if self.commit else self.name


def find(text: str, access: Access, *, weights: bool = True) -> Place | None:
    """Where something lies; a path of this machine goes before a name of the hub. None where it is neither.

    Args:
        text: what was typed.
        access: how the hub may be asked.
        weights: of the hub, otherwise configurations and vocabularies alone.

    Raises:
        ModelError: the hub does not have it, or cannot be asked.
        OptionError: a revision of what has none, or two of them.
    """
    path = Path(text).expanduser()
    if text and _exists(path):
        return _here(path, access)
    wanted = hub_name(text)
    if wanted is None:
        return None
    if access.revision and wanted.revision not in (None, access.revision):
        raise OptionError(
            f"{text} and --revision {access.revision} are two revisions.", remedy="Give one of them alone."
        )
    wanted = replace(wanted, revision=access.revision or wanted.revision)
    found, commit = fetch(wanted, weights=weights, offline=access.offline, tell=access.tell)
    return Place(found, str(wanted), commit)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # no name that a file can have
        return False


def _here(path: Path, access: Access) -> Place:
    if access.revision:
        raise OptionError(
            f"--revision {access.revision} is for models of the hub.",
            why=f"{path} lies on this machine.",
            remedy="Leave it out.",
        )
    found = _absolute(path)
    return Place(found, str(found))


def _absolute(path: Path) -> Path:
    """A file keeps its own name where it is a link: what it leads to need not end in ``.safetensors``."""
    return path.resolve() if path.is_dir() else path.parent.resolve() / path.name


def installed(host: PluginHost, name: str) -> Path:
    """The folder of an installed model.

    Raises:
        ModelError: it is gone.
    """
    path = Path(host.checkpoints.load(name)())
    if not path.is_dir():
        owner = host.checkpoints.provenance(name).distribution
        raise ModelError(f"The installed model {name!r} has no files at {path}.", remedy=f"Install {owner} anew.")
    return path


def gather(host: PluginHost, path: Path, beside: Beside, access: Access) -> tuple[ModelFiles, Beside]:
    """The files of a model, and the names under which what is beside it will be found again.

    Args:
        host: of the installed models, whose tokenizers and configurations can be asked for by their names.
        path: of the model itself.
        beside: what was named besides.
        access: how the hub may be asked.

    Raises:
        ModelError: something is not there, is damaged or unsafe.
    """
    access = replace(access, revision=None)
    parts: list[tuple[PartRole, Path]] = []
    vae = None if beside.vae is None else _weights("--vae", beside.vae, access)
    encoders = tuple(_weights("--text-encoder", text, access) for text in beside.text_encoders)
    tokenizer = None if beside.tokenizer is None else _folder(host, "--tokenizer", beside.tokenizer, access)
    config = None if beside.config is None else _folder(host, "--config", beside.config, access)
    parts += [("vae", vae.path)] if vae else []
    parts += [("text-encoder", encoder.path) for encoder in encoders]
    parts += [("tokenizer", tokenizer.path)] if tokenizer else []
    named = Beside(
        vae.pinned if vae else None,
        tuple(encoder.pinned for encoder in encoders),
        tokenizer.pinned if tokenizer else None,
        config.pinned if config else None,
    )
    return ModelFiles(path, tuple(parts), config.path if config else None), named


def _weights(option: str, text: str, access: Access) -> Place:
    place = find(text, access) or _nowhere(option, text)
    check_weights(place.path)
    return place


def _folder(host: PluginHost, option: str, text: str, access: Access) -> Place:
    if text in host.checkpoints:
        return Place(installed(host, text), text)
    place = find(text, access, weights=False) or _nowhere(option, text)
    if not place.path.is_dir():
        raise ModelError(
            f"{option} {text} is no folder.",
            why="Configurations and vocabularies are several files, or lie in folders of their own.",
            remedy="Give the folder that holds them: of a tokenizer, or of a whole model in the diffusers layout.",
        )
    return place


def _nowhere(option: str, text: str) -> Place:
    raise ModelError(
        f"{option} {text}: there is no such file or folder.",
        why="Nor is it a repository of the hub, which is called owner/name.",
        remedy="Give a path.",
    )
