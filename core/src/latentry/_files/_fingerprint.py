"""A short identifier of a checkpoint's content, without reading all of it."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from latentry._files._finding._repository import own_files
from latentry._files._formats import is_index
from latentry._specs import ModelFiles

END = 1 << 20
"""Bytes at each end of a file that are read."""


def fingerprint(files: ModelFiles) -> str:
    """16 hexadecimal digits that identify a model's files: small files whole, of large ones the size and both ends.

    The place of the files, the name of a single file and the order of the parts make no difference.
    """
    return Fingerprints()(files)


class Fingerprints:
    """Fingerprints of models, kept while no file of theirs changes: its path, size, time of change and inode.

    A file that is written again with the same size within one tick of the disk's clock is not noticed.
    """

    def __init__(self) -> None:
        self._kept: dict[Path, tuple[Stamps, str]] = {}

    def __call__(self, files: ModelFiles) -> str:
        """See ``fingerprint``."""
        digest = sha256(self._of(files.path).encode())
        for role, found in sorted((role, self._of(path)) for role, path in files.parts):
            digest.update(f"{role} {found}\n".encode())
        if files.config is not None:
            digest.update(f"config {self._of(files.config)}\n".encode())
        return digest.hexdigest()[:16]

    def _of(self, path: Path) -> str:
        """The digest of one file, or of a folder with the names in it."""
        stamps = stamps_of(path)
        then, found = self._kept.get(path, ((), ""))
        if then != stamps:
            # read after the stamps: a change in between is noticed the next time
            found = _digest(path, [file for file, *_ in stamps])
            self._kept[path] = stamps, found
        return found


Stamps = tuple[tuple[Path, int, int, int], ...]
"""Path, size, time of change in nanoseconds and inode of each file of a model."""


def stamps_of(path: Path) -> Stamps:
    """What is different after one of a model's files was changed, replaced, added or removed; nothing is read.

    Args:
        path: a file, an index or a folder.
    """
    found = ((file, file.stat()) for file in own_files(path))
    return tuple((file, stat.st_size, stat.st_mtime_ns, stat.st_ino) for file, stat in found)


def _digest(path: Path, files: Iterable[Path]) -> str:
    digest = sha256()
    folder = path.parent if is_index(path) else path
    for file in files:
        size = file.stat().st_size
        name = file.relative_to(folder).as_posix() if file != path else ""
        digest.update(f"{name} {size}\n".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(END))
            if size > 2 * END:
                stream.seek(size - END)
            digest.update(stream.read())
    return digest.hexdigest()
