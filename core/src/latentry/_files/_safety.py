"""Refuses files of weights that are unsafe, damaged or incomplete, from their headers alone."""

from __future__ import annotations

from pathlib import Path

from latentry._errors import ModelError
from latentry._files._finding._paths import unreadable
from latentry._files._finding._repository import own_files
from latentry._files._formats import INDEX, PICKLES, SAFETENSORS, WEIGHT_SUFFIXES, is_index, shards_of

_GGUF, _ZIP, _PICKLES = b"GGUF", b"PK\x03\x04", tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
"""First bytes: torch's pickles are zip archives, or bare from protocol 2 on. A safetensors file begins with the length
of its header, which can look like either."""
_OTHERS = (
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself", "Run `git lfs pull` where it came from."),
    (b"<!doctype", "a web page", "Download the file itself."),
    (b"<html", "a web page", "Download the file itself."),
    (b"\x89png", "a picture", "Give the file of weights."),
    (b"\xff\xd8\xff", "a picture", "Give the file of weights."),
)
"""Other files that people give instead of weights: their first bytes in lower case, what they are, and what to do."""


def check_weights(path: Path) -> None:
    """Checks a folder, a file of weights or the index of a sharded one.

    Raises:
        ModelError: a file is a pickle, damaged or missing; names the file.
    """
    try:
        _check(path)
    except OSError as error:
        raise unreadable(path, error) from error


def _check(path: Path) -> None:
    if not (path.is_dir() or path.is_file()):
        raise ModelError(
            f"{path} is not a regular file.",
            why="It is a pipe, a socket or a device.",
            remedy="Give the path of a file of weights.",
        )
    if path.suffix in PICKLES and not path.is_dir():
        raise pickle_refused(path)
    if not (path.is_dir() or is_index(path) or path.suffix in WEIGHT_SUFFIXES):
        raise ModelError(
            f"{path} is not a file of weights.",
            why=f"Such files end in {', '.join(sorted(WEIGHT_SUFFIXES))}, and the index of a sharded one in {INDEX}.",
            remedy="Give such a file, or a folder in the diffusers layout.",
        )
    if path.is_dir():
        for folder in (path, *sorted(entry for entry in path.iterdir() if entry.is_dir())):
            _refuse_pickles_alone(folder)
    for file in own_files(path):
        if is_index(file):
            _check_complete(file)
        elif file.suffix in WEIGHT_SUFFIXES:
            _check_file(file)


def pickle_refused(path: Path) -> ModelError:
    """The error for every pickle."""
    return ModelError(
        f"{path} is a pickle and is refused.",
        why="Loading a pickle runs code that is in the file.",
        remedy="Use the checkpoint's safetensors files, or convert it on a machine that you can throw away.",
    )


def _refuse_pickles_alone(folder: Path) -> None:
    """Pickles are ignored, not refused, in folders that hold other weights, or folders of parts."""
    try:
        entries = sorted(folder.iterdir())
        pickles = [entry for entry in entries if entry.suffix in PICKLES]
        others = any(entry.suffix in WEIGHT_SUFFIXES or is_index(entry) or entry.is_dir() for entry in entries)
    except PermissionError:  # then nothing in it is read
        return
    if pickles and not others:
        raise pickle_refused(pickles[0])


def _check_complete(index: Path) -> None:
    shards = shards_of(index)
    if absent := [shard.name for shard in shards if not shard.is_file()]:
        raise ModelError(
            f"{index.parent} lacks {', '.join(absent)}.",
            why=f"{index.name} names {len(shards)} shards; {len(shards) - len(absent)} of them exist.",
            remedy="Copy or download the missing files.",
        )


def _check_file(file: Path) -> None:
    try:
        with file.open("rb") as stream:
            start = stream.read(32)
    except OSError as error:
        raise _damaged(file, str(error)) from error
    head = start[:4]
    fault = _fault(file, head)
    if fault and (head == _ZIP or head[:2] in _PICKLES):
        raise pickle_refused(file)
    if fault:
        raise _other(file, start) or _damaged(file, fault)


def _fault(file: Path, head: bytes) -> str:
    """Why a file cannot be read as weights; empty if it can, whichever of the formats its name says."""
    from safetensors import SafetensorError, safe_open

    if head == _GGUF:
        return ""
    try:
        with safe_open(file, "np"):
            return ""
    except (SafetensorError, OSError) as error:
        return str(error) if file.suffix in SAFETENSORS else "It does not begin like a GGUF file"


def _other(file: Path, start: bytes) -> ModelError | None:
    """The error for a file that is recognised as something else; None if it is not."""
    for mark, words, remedy in _OTHERS:
        if start.lower().startswith(mark):
            return ModelError(f"{file} does not contain weights.", why=f"It is {words}.", remedy=remedy)
    return None


def _damaged(file: Path, why: str) -> ModelError:
    kind = "safetensors" if file.suffix in SAFETENSORS else "GGUF"
    size = f" (the file has {file.stat().st_size:,} bytes)" if file.exists() else ""
    return ModelError(
        f"{file} is damaged: it is not a complete {kind} file.",
        why=f"{why}{size}.",
        remedy="Copy or download it again.",
    )
