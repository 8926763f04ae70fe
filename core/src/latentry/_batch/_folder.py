"""The folder that a batch fills: pictures, and a manifest that says what is finished."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from latentry._batch._work import DrawnLine, Line, request_of
from latentry._errors import OptionError

MANIFEST = "manifest.jsonl"


class BatchFolder:
    """Pictures are there whole before the manifest says so, and each of its lines is written at once.

    Whatever is killed when: a line is either in the manifest, with all its pictures, or is drawn again, over what there
    is of it.

    Args:
        path: of the folder.
        resume: go on with what is there.
        seed: that lines without one get theirs from; None for that of the manifest, else one that is drawn.

    Attributes:
        seed: see above.

    Raises:
        OptionError: there is a manifest and it is not to be resumed, or it has another seed.
    """

    def __init__(self, path: Path, *, resume: bool = False, seed: int | None = None) -> None:
        self._path, self._manifest = path, path / MANIFEST
        head, self._entries = self._read()
        if self._manifest.exists() and not resume:
            raise OptionError(
                f"{path} already holds a batch.", remedy="Resume it, or give another folder.", field="output"
            )
        kept = head.get("seed")
        if None not in (seed, kept) and seed != kept:
            raise OptionError(f"The batch in {path} was begun with the seed {kept}.", remedy="Leave the seed out.")
        chosen: int | None = kept if seed is None else seed
        self.seed = secrets.randbelow(2**32) if chosen is None else chosen
        path.mkdir(parents=True, exist_ok=True)
        self._rewrite()

    @property
    def failures(self) -> int:
        """Lines that ended in an error."""
        return sum(entry["error"] is not None for entry in self._entries.values())

    def lines(self, prompts: Sequence[Mapping[str, Any]], common: Mapping[str, Any]) -> list[Line]:
        """The lines of a file.

        Args:
            prompts: fields of each.
            common: fields of all; those of a line count before them.
        """
        found = []
        for number, fields in enumerate(prompts, 1):
            own = sha256(f"{self.seed}:{number}".encode()).digest()
            found.append(Line(number, {"seed": int.from_bytes(own[:4]), **common, **fields}))
        return found

    def unfinished(self, lines: Sequence[Line]) -> list[Line]:
        """Those that have no pictures yet, or were other requests then."""
        return [line for line in lines if not self._finished(line)]

    def entry(self, line: Line) -> Mapping[str, Any] | None:
        """What the manifest says of a line, be it drawn or failed; None if nothing, or of another request only."""
        entry = self._entries.get(line.number)
        return entry if entry is not None and entry["request"] == _digest(line) else None

    def write(self, line: Line, drawn: DrawnLine, suffix: str) -> None:
        """Writes a line's pictures, and then its entry.

        Raises:
            OSError: the folder cannot be written to.
        """
        several = len(drawn.files) > 1
        names = [f"{line.number:06d}{f'-{i:03d}' if several else ''}{suffix}" for i in range(len(drawn.files))]
        for name, data in zip(names, drawn.files, strict=True):
            _place(self._path / name, data)
        entry = {
            "line": line.number,
            "request": _digest(line),
            "pictures": names,
            "recipes": [json.loads(recipe) for recipe in drawn.recipes],
            "notes": list(drawn.notes),
            "error": drawn.error,
        }
        if drawn.figures:
            entry["figures"] = dict(drawn.figures)
        self._entries[line.number] = entry
        with self._manifest.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def close(self, lines: Sequence[Line]) -> None:
        """Puts the manifest in the order of the lines, each once; entries of lines that are gone are left out."""
        numbers = {line.number for line in lines}
        self._entries = {number: self._entries[number] for number in sorted(self._entries) if number in numbers}
        self._rewrite()

    def _finished(self, line: Line) -> bool:
        entry = self.entry(line)
        if entry is None or entry["error"] is not None:
            return False
        return all((self._path / name).is_file() for name in entry["pictures"])

    def _rewrite(self) -> None:
        texts = [json.dumps({"seed": self.seed}), *map(json.dumps, self._entries.values())]
        _place(self._manifest, "".join(f"{text}\n" for text in texts).encode())

    def _read(self) -> tuple[dict[str, Any], dict[int, dict[str, Any]]]:
        """The head and the newest entry of each line; a line of the file that was not written to its end is skipped."""
        head: dict[str, Any] = {}
        entries: dict[int, dict[str, Any]] = {}
        if not self._manifest.exists():
            return head, entries
        for text in self._manifest.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                found = json.loads(text)
            except ValueError:
                continue
            if "line" in found:
                entries[found["line"]] = found
            else:
                head = found
        return head, entries


def _place(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _digest(line: Line) -> str:
    """Of the request, however its fields are spelled; of the fields where they make none."""
    try:
        text = request_of(line).model_dump_json()
    except OptionError:
        text = json.dumps(dict(line.fields), sort_keys=True)
    return sha256(text.encode()).hexdigest()
