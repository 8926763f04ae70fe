"""A short identifier of a checkpoint's content, without reading all of it."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from latentry._files._formats import is_index
from latentry._files._repository import own_files
from latentry._specs import ModelFiles

END = 1 << 20
"""Bytes at each end of a file that are read."""


def fingerprint(files: ModelFiles) -> str:
    """16 hexadecimal digits that identify a model's files: small files whole, of large ones the size and both ends.

    The place of the files, the name of a single file and the order of the parts make no difference.
    """
    digest = sha256(_of(files.path).encode())
    for role, found in sorted((role, _of(path)) for role, path in files.parts):
        digest.update(f"{role} {found}\n".encode())
    if files.config is not None:
        digest.update(f"config {_of(files.config)}\n".encode())
    return digest.hexdigest()[:16]


def _of(path: Path) -> str:
    """The digest of one file, or of a folder with the names in it."""
    digest = sha256()
    folder = path.parent if is_index(path) else path
    for file in own_files(path):
        size = file.stat().st_size
        name = file.relative_to(folder).as_posix() if file != path else ""
        digest.update(f"{name} {size}\n".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(END))
            if size > 2 * END:
                stream.seek(size - END)
            digest.update(stream.read())
    return digest.hexdigest()
