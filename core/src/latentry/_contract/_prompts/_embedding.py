"""Textual inversion: words of a prompt whose vectors were learnt (Gal et al. 2022, arXiv:2208.01618)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, model_validator

NAME = re.compile(r"[^\s()\[\],:=\\]+")
"""What the word can be: nothing that weighs or separates words of a prompt."""


class EmbeddingRequest(BaseModel):
    """A file of learnt vectors, and the word of the prompts that stands for them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(description="safetensors file")
    name: str = Field(description="the word that stands for it in prompts; the file's name if not given")

    @model_validator(mode="before")
    @classmethod
    def _named_by_its_file(cls, fields: Any) -> Any:
        if isinstance(fields, dict) and isinstance(fields.get("path"), str) and fields.get("name") is None:
            return {**fields, "name": Path(fields["path"]).stem}
        return fields

    @model_validator(mode="after")
    def _is_one_word(self) -> EmbeddingRequest:
        if NAME.fullmatch(self.name) is None:
            raise ValueError(f"it must be one word without brackets, commas and colons, not {self.name!r}: NAME=FILE")
        return self


@dataclass(frozen=True)
class Embedding:
    """An embedding that was found and checked.

    Attributes:
        name: the word of the prompts.
        path: its file.
        digest: sha256 of the file.
    """

    name: str
    path: Path
    digest: str


class Piece(NamedTuple):
    """A part of a prompt: text, or the name of an embedding."""

    text: str
    name: str | None = None


def split_at_names(text: str, names: Iterable[str]) -> Iterator[Piece]:
    """The parts of a text between and at the names of embeddings, which are found whole and in any case.

    Args:
        text: of a prompt, without weights.
        names: of the embeddings.
    """
    known = {name.lower(): name for name in names}
    if not known:
        yield Piece(text)
        return
    words = "|".join(re.escape(name) for name in sorted(known, key=len, reverse=True))
    for number, part in enumerate(re.split(rf"(?<!\w)({words})(?!\w)", text, flags=re.IGNORECASE)):
        if part:
            yield Piece(part, known[part.lower()] if number % 2 else None)


@runtime_checkable
class TakesEmbeddings(Protocol):
    """A checkpoint whose prompts can have words that were learnt, ``PromptSettings.embeddings``. Optional."""

    def check_embeddings(self, paths: Sequence[Path]) -> tuple[str, ...]:
        """Checks files of learnt vectors by their headers.

        Args:
            paths: safetensors files.

        Returns:
            What to tell the user, one sentence each.

        Raises:
            ModelError: a file is unsafe, damaged or something else.
            IncompatibleError: it was made for other text encoders, or the model has none that could take it.
        """
        ...
