"""What MkDocs calls: adds the pages and figures that are made from the code, and turns links into the site's."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from documentation.figures import figures
from documentation.links import rewritten
from documentation.pages import generated
from documentation.repository import ROOT, distributions

DOCS = ROOT / "docs"
MADE: dict[str, str] = {}
"""The generated pages of this build."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fill the parts of the navigation that name a folder."""
    MADE.clear()
    MADE.update(generated())
    config.nav = [_filled(entry) for entry in config.nav or []]
    return config


def _filled(entry: Any) -> Any:
    if isinstance(entry, dict):
        return {title: _filled(below) for title, below in entry.items()}
    if isinstance(entry, list):
        return [_filled(each) for each in entry]
    if isinstance(entry, str) and entry.endswith("/"):
        written = [path.relative_to(DOCS).as_posix() for path in (DOCS / entry).glob("*.md")]
        below = sorted({*written, *(path for path in MADE if path.startswith(entry))})
        return sorted(below, key=_place)
    return entry


def _place(path: str) -> tuple[bool, str]:
    """The index first, then by name: ``latentry-shapes`` before ``latentry-shapes-v``."""
    return not path.endswith(("/index.md", "/README.md")), path.removesuffix(".md")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is generated."""
    for path, text in {**MADE, **figures()}.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn the links between files of the repository into links between pages."""
    urls = next(iter(distributions().values())).get("urls")  # a release adds them
    source = urls["Source"].removesuffix("core") if urls else ""
    return rewritten(markdown, page.file.src_uri, {file.src_uri for file in files}, source)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Mark the names of options: browsers would break them after their dashes."""
    return re.sub(r"<code>(--[\w-]+)</code>", r'<code class="option">\1</code>', html)
