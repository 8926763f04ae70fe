"""Models of the Hugging Face Hub, through its own client and cache: a repository at a commit, never pickles."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path

from latentry._errors import ModelError
from latentry._files._formats import WEIGHTS
from latentry._files._hub_errors import absent, explained, several, unreachable
from latentry._files._hub_progress import progress_bar
from latentry._files._repository import PIPELINE, model_files, pipeline_parts, undescribed_weights

Tell = Callable[[str], None]
_COMMIT = re.compile(r"[0-9a-f]{40}")
_NAME = re.compile(
    r"(?P<repository>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)"
    rf"(?:/(?P<file>[^@]+(?:{'|'.join(map(re.escape, sorted(WEIGHTS)))})))?"
    r"(?:@(?P<revision>[^@\s]+))?"
)


@dataclass(frozen=True)
class HubName:
    """What a repository, or one file in it, is asked for by.

    Attributes:
        repository: ``owner/name``.
        file: one file of weights in it; empty for the whole model.
        revision: a branch, tag or commit; None for the main branch.
    """

    repository: str
    file: str = ""
    revision: str | None = None

    def __str__(self) -> str:
        return f"{self.repository}/{self.file}" if self.file else self.repository


def hub_name(text: str) -> HubName | None:
    """Reads ``owner/name``, ``owner/name/file.gguf``, and either with ``@revision``; None where it is no such thing."""
    found = _NAME.fullmatch(text)
    return HubName(found["repository"], found["file"] or "", found["revision"]) if found else None


def fetch(name: HubName, *, weights: bool, offline: bool, tell: Tell) -> tuple[Path, str]:
    """Brings a model here, or finds it in the cache.

    Args:
        name: what is wanted.
        weights: otherwise configurations and vocabularies alone.
        offline: use the cache alone; so does ``HF_HUB_OFFLINE``.
        tell: takes a line for people while there is something to wait for.

    Returns:
        The folder or the file, and the commit it is of.

    Raises:
        ModelError: the client is not installed, or the model cannot be had.
    """
    try:
        from huggingface_hub import constants
    except ImportError as error:
        raise ModelError(
            f"{name} is neither a file nor a folder here, and the hub's client is not installed.",
            remedy="pip install latentry[hub], or give the path of a model.",
        ) from error
    offline = offline or constants.HF_HUB_OFFLINE
    with explained(name.repository, name.revision, offline=offline):
        folder = _cached(name) if offline else _downloaded(name, weights, tell)
    inside = [file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()]
    path = folder / (_file(name, inside) if weights else name.file)
    if not path.exists():
        raise absent(str(name), f"the copy in the cache, {folder}, does not have it")
    return path, folder.name


def _file(name: HubName, names: Sequence[str]) -> str:
    """The one file that is the model; empty where that is the whole folder."""
    bare = undescribed_weights(names)
    if not name.file and len(bare) > 1:
        raise several(name.repository, bare)
    return name.file or "".join(bare)


def _cached(name: HubName) -> Path:
    from huggingface_hub import snapshot_download

    wanted = [escape(name.file or PIPELINE)]
    return Path(
        snapshot_download(name.repository, revision=name.revision, allow_patterns=wanted, local_files_only=True)
    )


def _downloaded(name: HubName, weights: bool, tell: Tell) -> Path:
    from huggingface_hub import HfApi, snapshot_download, try_to_load_from_cache

    tell(f"Asking the hub for {name}")
    try:
        info = HfApi().model_info(name.repository, revision=name.revision, files_metadata=True)
    except Exception as error:
        if unreachable(error) and _COMMIT.fullmatch(name.revision or ""):
            return _cached(name)  # what a commit holds never changes
        raise
    files = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    wanted = _wanted(name, list(files), str(info.sha), weights)
    new = [
        file for file in wanted if not isinstance(try_to_load_from_cache(name.repository, file, revision=info.sha), str)
    ]
    folder = snapshot_download(
        name.repository,
        revision=name.revision,
        allow_patterns=[escape(file) for file in wanted],
        tqdm_class=progress_bar(tell, str(name), sum(files[file] for file in new)),
    )
    return Path(folder)


def _wanted(name: HubName, files: Sequence[str], commit: str, weights: bool) -> list[str]:
    from huggingface_hub import hf_hub_download

    if file := _file(name, files) if weights else name.file:
        if file not in files:
            raise absent(str(name), f"the repository has no such file at {commit}")
        return [file]
    parts = None
    if PIPELINE in files:
        index = Path(hf_hub_download(name.repository, PIPELINE, revision=commit))
        parts = pipeline_parts(index.read_text(encoding="utf-8"))
    return model_files(files, parts, weights=weights)
