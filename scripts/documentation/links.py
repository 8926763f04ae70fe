"""Links of pages, from where they lead in the repository to where they lead on the site.

Pages are written for the repository: their links are paths between its files. On the site some of these files are pages
with another path, and others, such as source code, are not there; their links become the project's public source, or
plain text while there is none.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection

from documentation.pages import FILES
from documentation.repository import ROOT

LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
ELSEWHERE = re.compile(r"[a-z]+:|#|/")


def origin(page: str) -> str:
    """The folder, below the repository, that a page's links are written in."""
    if page in FILES:
        return posixpath.dirname(FILES[page])
    return posixpath.dirname(f"docs/{page}")


def place(target: str, pages: Collection[str]) -> str | None:
    """The page, below ``docs``, that shows a file or folder of the repository."""
    for page, file in FILES.items():
        if target in (file, posixpath.dirname(file)) and target:
            return page
    if target.startswith("docs/") and target.removeprefix("docs/") in pages:
        return target.removeprefix("docs/")
    if target == "docs/decisions":
        return "decisions/README.md"
    if target == "README.md":
        return "index.md"
    found = re.fullmatch(r"(?:plugins/([\w-]+)|(core))(?:/README\.md)?", target)
    return f"plugins/{found[1] or 'latentry'}.md" if found else None


def rewritten(text: str, page: str, pages: Collection[str], source: str = "") -> str:
    """A page with the links of the site.

    Args:
        text: its Markdown.
        page: its path below ``docs``.
        pages: the paths of all pages and images.
        source: address below which the repository's files can be seen; empty if there is none.
    """
    here = posixpath.dirname(page) or "."

    def link(found: re.Match[str]) -> str:
        words, target = found[1], found[2]
        if ELSEWHERE.match(target):
            return found[0]
        path, _, anchor = target.partition("#")
        written = posixpath.normpath(posixpath.join(here, path))
        if written in pages:
            return found[0]
        file = posixpath.normpath(posixpath.join(origin(page), path))
        shown = place(file, pages)
        if shown is not None:
            return f"[{words}]({posixpath.relpath(shown, here)}{'#' if anchor else ''}{anchor})"
        if not (ROOT / file).exists():
            return found[0]  # the build reports it
        return f"[{words}]({source}{file})" if source else words

    blocks = re.split(r"(^ *```.*?^ *```$)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(block if place % 2 else LINK.sub(link, block) for place, block in enumerate(blocks))
