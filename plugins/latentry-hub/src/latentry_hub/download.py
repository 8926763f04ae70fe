"""Downloads of a repository at a commit, or its copy in the Hub's cache."""

from __future__ import annotations

import re
from collections.abc import Sequence
from glob import escape
from pathlib import Path

from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download, try_to_load_from_cache

from latentry.models import FetchOptions, Report, model_files, undescribed_weights
from latentry_hub.errors import absent, explained, several, unreachable
from latentry_hub.names import HubName
from latentry_hub.progress import progress_bar

_COMMIT = re.compile(r"[0-9a-f]{40}")
_PIPELINE = "model_index.json"


def fetch(name: HubName, options: FetchOptions) -> tuple[Path, str]:
    """Downloads a model, or finds it in the cache.

    Args:
        name: the repository, or a file in it.
        options: as the core gives them; ``HF_HUB_OFFLINE`` counts like ``offline``.

    Returns:
        The folder or the file, and its commit.

    Raises:
        ModelError: the model does not exist, or cannot be downloaded.
    """
    offline = options.offline or constants.HF_HUB_OFFLINE
    with explained(name.repository, name.revision, offline=offline):
        folder = _cached(name) if offline else _downloaded(name, options.weights, options.report)
    inside = [file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()]
    path = folder / (_file(name, inside) if options.weights else name.file)
    if not path.exists():
        raise absent(str(name), f"the copy in the cache, {folder}, does not have it")
    return path, folder.name


def _file(name: HubName, names: Sequence[str]) -> str:
    """The one file that is the model; empty if the whole folder is."""
    bare = undescribed_weights(names)
    if not name.file and len(bare) > 1:
        raise several(name.repository, bare)
    return name.file or "".join(bare)


def _cached(name: HubName) -> Path:
    wanted = [escape(name.file or _PIPELINE)]
    return Path(
        snapshot_download(name.repository, revision=name.revision, allow_patterns=wanted, local_files_only=True)
    )


def _downloaded(name: HubName, weights: bool, report: Report) -> Path:
    report(f"Asking the Hub for {name}")
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
        tqdm_class=progress_bar(report, str(name), sum(files[file] for file in new)),
    )
    return Path(folder)


def _wanted(name: HubName, files: Sequence[str], commit: str, weights: bool) -> list[str]:
    if file := _file(name, files) if weights else name.file:
        if file not in files:
            raise absent(str(name), f"the repository has no such file at {commit}")
        return [file]
    index = None
    if _PIPELINE in files:
        index = Path(hf_hub_download(name.repository, _PIPELINE, revision=commit)).read_text(encoding="utf-8")
    return model_files(files, index, weights=weights)
