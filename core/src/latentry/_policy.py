"""What may be opened and drawn on somebody else's word: a recipe's, or that of a client on the network."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from latentry._errors import NotAllowed

Limit = Literal[
    "pixels", "input_pixels", "count", "steps", "evaluations", "prompt", "batch", "loras", "controls", "embeddings"
]

_WORDS: dict[Limit, str] = {
    "pixels": "pixels of a picture",
    "input_pixels": "pixels of a picture to start from",
    "count": "pictures of a request",
    "steps": "steps",
    "evaluations": "evaluations of the network",
    "prompt": "characters of prompts",
    "batch": "pictures of a batch",
    "loras": "LoRAs",
    "controls": "controls",
    "embeddings": "embeddings",
}


@dataclass(frozen=True)
class Policy:
    """What a request or a recipe may ask for. Checked before anything is opened or allocated; None sets no limit.

    What the owner of a machine types needs no policy. Names in a recipe or in a request that came over a network are a
    stranger's: opening them can tell a server who looked, read a device, or load weights that nobody chose. Refusals
    are the same for a file that exists and for one that does not. Installed models are always allowed.

    Attributes:
        roots: folders whose files may be opened, links followed; None for any file.
        sources: names that model sources may be asked for, as patterns such as ``owner/*``; None for any.
        downloads: model sources may contact their servers; without it they use what is on this machine already.
        typed: texts that the user typed as well, which are allowed wherever they lead.
        pixels: the most that a picture may have, width times height.
        input_pixels: the same of a picture to start from; its size is read before its pixels are.
        count: the most pictures of a request.
        steps: the most steps of a picture, in all passes.
        evaluations: the most evaluations of the network for a picture, in all passes, where the scheduler says how
            many it takes.
        prompt: the most characters of all prompts of a request together.
        batch: the most pictures that go through the network together.
        loras: the most LoRAs of a request.
        controls: the most networks that steer a picture.
        embeddings: the most textual inversions of a request.
    """

    roots: tuple[Path, ...] | None = None
    sources: tuple[str, ...] | None = None
    downloads: bool = True
    typed: frozenset[str] = frozenset()
    pixels: int | None = None
    input_pixels: int | None = None
    count: int | None = None
    steps: int | None = None
    evaluations: int | None = None
    prompt: int | None = None
    batch: int | None = None
    loras: int | None = None
    controls: int | None = None
    embeddings: int | None = None

    @classmethod
    def network(cls) -> Policy:
        """For clients on a network: installed models, uploaded pictures, and amounts that one machine can draw.

        ``dataclasses.replace`` changes single limits, e.g. ``roots`` for a folder of models.
        """
        return cls(
            roots=(),
            sources=(),
            downloads=False,
            pixels=2048 * 2048,
            input_pixels=50_000_000,
            count=16,
            steps=150,
            evaluations=1000,
            prompt=10_000,
            batch=8,
            loras=8,
            controls=4,
            embeddings=8,
        )

    def check(self, limit: Limit, amount: int, field: str | None = None) -> None:
        """Refuses an amount above a limit.

        Args:
            limit: which one.
            amount: what is asked for.
            field: the request's field that it comes from.

        Raises:
            NotAllowed: it is above.
        """
        most: int | None = getattr(self, limit)
        if most is not None and amount > most:
            asked = f"{amount:,}" if amount < 10**15 else "So many"  # a number of 5000 digits cannot be printed
            raise NotAllowed(
                f"{asked} {_WORDS[limit]} are more than the limit.",
                why=f"The limit is {most:,}.",
                remedy="Request less.",
                field=field or limit,
            )

    def allows_path(self, text: str) -> bool:
        """Whether a path may be looked at: it was typed, or leads into one of the roots, links followed."""
        if self.roots is None or text in self.typed:
            return True
        try:
            path = Path(text).expanduser().resolve()
            return any(path.is_relative_to(root.expanduser().resolve()) for root in self.roots)
        except (OSError, RuntimeError, ValueError):  # a loop of links, an unknown user: neither is told
            return False

    def check_path(self, text: str, field: str | None = None) -> None:
        """Refuses a path outside the roots; the file itself is not opened.

        Args:
            text: the path as it was given.
            field: the request's field that it is in.

        Raises:
            NotAllowed: it is not allowed.
        """
        if not self.allows_path(text):
            raise NotAllowed(
                f"{text!r} may not be opened here.",
                why="It is neither in an allowed folder nor the name of something installed.",
                remedy="Give a path in an allowed folder, or an installed name.",
                field=field,
            )

    def check_source(self, text: str) -> None:
        """Refuses a model's name that matches none of the allowed sources.

        Raises:
            NotAllowed: no pattern has it.
        """
        if self.sources is None or text in self.typed:
            return
        name = text.partition("@")[0]
        if not any(fnmatchcase(name, pattern) for pattern in self.sources):
            raise NotAllowed(
                f"The model {text!r} is not allowed here.",
                why="It matches none of the allowed names.",
                remedy="Give the name of an installed model.",
            )

    def allows_download(self, text: str) -> bool:
        """Whether a model source may contact its server about a text."""
        return self.downloads or text in self.typed


ANYTHING = Policy()
"""For what the user typed."""
