"""What a server is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass, field

from latentry import Policy


@dataclass(frozen=True)
class Settings:
    """What a server allows and keeps.

    Attributes:
        policy: what requests may ask for.
        keys: one of them has to come with each request; without any, everybody may ask.
        origins: pages of other servers whose scripts may ask; none by default.
        queue: the most jobs that wait or are drawn; what comes then is answered with 429.
        history: how many finished jobs are kept, with their pictures.
        previews: a preview after every so many steps; 0 for none.
        body: the most bytes of a request.
        model: drawn with where a request names none; None for the installed default.
    """

    policy: Policy = field(default_factory=Policy.network)
    keys: frozenset[str] = frozenset()
    origins: tuple[str, ...] = ()
    queue: int = 64
    history: int = 100
    previews: int = 1
    body: int = 32 * 2**20
    model: str | None = None
