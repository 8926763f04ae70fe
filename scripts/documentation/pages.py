"""All pages that are not files below ``docs``."""

from __future__ import annotations

from documentation.command_pages import command_pages
from documentation.hook_pages import hook_pages
from documentation.plugin_pages import plugin_pages
from documentation.reference_pages import errors_page, family_page, python_pages
from documentation.repository import ROOT
from latentry import PluginHost

FILES = {
    "architecture.md": "ARCHITECTURE.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "security.md": "SECURITY.md",
    "benchmarks.md": "benchmarks/README.md",
}
"""Pages that are files of the repository elsewhere."""


def generated() -> dict[str, str]:
    """Markdown by path below ``docs``."""
    host = PluginHost()
    return {
        **{path: (ROOT / file).read_text(encoding="utf-8") for path, file in FILES.items()},
        **plugin_pages(host),
        **hook_pages(host),
        **command_pages(),
        **python_pages(),
        "reference/errors.md": errors_page(),
        "reference/family.md": family_page(),
    }
