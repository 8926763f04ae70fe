"""What may be opened on somebody else's word, such as the recipe in a picture that came from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from latentry._errors import RecipeError


class NotTrusted(RecipeError):
    """A recipe names something that the policy does not allow to open or to ask for."""

    code = "not_trusted"


@dataclass(frozen=True)
class Policy:
    """Which files may be opened, and whether model sources may be asked over the network.

    What someone types needs no policy. The names in a recipe are a stranger's: opening them can tell a server who
    looked, read a device, or load weights that nobody chose. Installed models are always allowed.

    Attributes:
        roots: folders whose files may be opened; None for any file.
        typed: texts that the user typed as well, which are allowed wherever they lead.
        network: model sources may contact their servers; without it they use what is on this machine already.
    """

    roots: tuple[Path, ...] | None = None
    typed: frozenset[str] = frozenset()
    network: bool = True

    def allows_network(self, text: str) -> bool:
        """Whether a model source may contact its server about a text."""
        return self.network or text in self.typed

    def check_path(self, text: str, field: str | None = None) -> None:
        """Refuses a path outside the roots, links followed; the file itself is not opened.

        Args:
            text: the path as it was given.
            field: the request's field that it is in.

        Raises:
            NotTrusted: it is not allowed.
        """
        if self.roots is None or text in self.typed:
            return
        path = Path(text).expanduser().resolve()
        if not any(path.is_relative_to(root.expanduser().resolve()) for root in self.roots):
            roots = ", ".join(map(str, self.roots)) or "none"
            raise NotTrusted(
                f"The recipe names the path {text!r}, which is not opened without your consent.",
                why=f"It is outside the allowed folders: {roots}.",
                remedy="Give the path again yourself, or trust the recipe: then the file is opened.",
                field=field,
            )


ANYTHING = Policy()
"""For what the user typed."""
