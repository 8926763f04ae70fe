"""The learnt words of a request's prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path

from latentry._contract._model import Checkpoint
from latentry._contract._prompts._embedding import Embedding, EmbeddingRequest, TakesEmbeddings, split_at_names
from latentry._contract._prompts._emphasis import parse_emphasis
from latentry._discovery import plugin_call
from latentry._errors import IncompatibleError, OptionError
from latentry._files._safety import check_weights

FIELD = "embeddings"


@dataclass(frozen=True)
class ChosenEmbeddings:
    """The embeddings of a request, found and checked.

    Attributes:
        embeddings: in the order of the request.
        notes: what to tell the user, one sentence each.
    """

    embeddings: tuple[Embedding, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def requests(self) -> tuple[EmbeddingRequest, ...]:
        """With the files' full paths."""
        return tuple(EmbeddingRequest(name=each.name, path=str(each.path)) for each in self.embeddings)

    @property
    def digests(self) -> tuple[str, ...]:
        """sha256 of each file."""
        return tuple(each.digest for each in self.embeddings)


def choose_embeddings(asked: Sequence[EmbeddingRequest], checkpoints: Sequence[Checkpoint]) -> ChosenEmbeddings:
    """Finds the embeddings of a request and checks them against every checkpoint that encodes its prompts.

    Raises:
        OptionError: there is no such file, or two have one name.
        ModelError, IncompatibleError: see ``TakesEmbeddings.check_embeddings``.
    """
    if not asked:
        return ChosenEmbeddings()
    paths = [_existing(each.path) for each in asked]
    names = [each.name.lower() for each in asked]
    if twice := [name for name in names if names.count(name) > 1]:
        raise OptionError(
            f"Two embeddings are called {twice[0]}.", remedy="Rename one of them: NAME=FILE.", field=FIELD
        )
    notes: list[str] = []
    for checkpoint in checkpoints:
        if not isinstance(checkpoint, TakesEmbeddings):
            raise IncompatibleError(
                "The model does not take textual inversion embeddings.",
                why="Its family has no text encoder that learnt words can be given to.",
                remedy="Leave the embeddings out.",
                field=FIELD,
            )
        with plugin_call(checkpoint):
            notes += checkpoint.check_embeddings(paths)
    found = (Embedding(each.name, path, _digest(path)) for each, path in zip(asked, paths, strict=True))
    return ChosenEmbeddings(tuple(found), tuple(dict.fromkeys(notes)))


def unused(asked: Sequence[EmbeddingRequest], prompts: Sequence[str]) -> tuple[str, ...]:
    """The names that are in none of the prompts."""
    names = [each.name for each in asked]
    texts = [text for prompt in dict.fromkeys(prompts) for text, _ in parse_emphasis(prompt)]
    used = {piece.name for text in texts for piece in split_at_names(text, names)}
    return tuple(name for name in names if name not in used)


def _existing(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_file():
        raise OptionError(
            f"There is no file {path}.",
            why="A textual inversion embedding is asked for there.",
            remedy="Give the path of a safetensors file.",
            field=FIELD,
        )
    check_weights(path)
    return path.resolve()


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()
