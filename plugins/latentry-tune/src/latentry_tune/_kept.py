"""What was found so far, on disk, so that a tuning that was interrupted goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from latentry import OptionError

Found = Mapping[str, Tensor]


class Kept:
    """Stages of one tuning: each is computed once.

    Args:
        folder: where they are kept; None keeps nothing.
        key: says what is tuned; stages of another tuning are refused.
    """

    def __init__(self, folder: Path | None = None, key: str = "") -> None:
        self._folder, self._key = folder, key

    def stage(self, name: str, compute: Callable[[], Found]) -> Found:
        """What a stage found, now or before the interruption.

        Raises:
            OptionError: the folder is that of another tuning.
        """
        if self._folder is None:
            return compute()
        file = self._folder / f"{name}.safetensors"
        if file.exists():
            with safe_open(file, "pt") as opened:
                if (opened.metadata() or {}).get("key") != self._key:
                    raise OptionError(
                        f"{self._folder} holds the stages of another tuning.",
                        remedy="Delete the folder, or tune with the model, prompts and options that it was begun with.",
                    )
            return load_file(file)
        found = compute()
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".partial")
        save_file({key: value.contiguous() for key, value in found.items()}, partial, {"key": self._key})
        partial.replace(file)  # at once, so that no stage is ever kept in part
        return found

    def clear(self) -> None:
        """Deletes the stages; the folder too, if nothing else is in it."""
        if self._folder is None or not self._folder.is_dir():
            return
        for file in (*self._folder.glob("*.safetensors"), *self._folder.glob("*.partial")):
            file.unlink()
        with suppress(OSError):
            self._folder.rmdir()
