"""The site's pages without MkDocs: links lead somewhere, what is made from the code is what the code says.

``tox -e docs`` and .ci/run build it strictly.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import posixpath
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.pages import ROOT, blocks
from support.scripts import script

from latentry import PluginHost, hookspecs
from latentry._cli._app import COMMANDS
from latentry._discovery._kinds import KINDS, Kind
from latentry._errors import LatentryError

pytestmark = pytest.mark.slow

sys.path.insert(0, str(ROOT / "scripts"))

from documentation import figures, links, pages, reference_pages, repository  # noqa: E402

DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    """The generated pages."""
    return pages.generated()


@pytest.fixture(scope="module")
def site(made: dict[str, str]) -> dict[str, str]:
    """All pages with the links of the site, and files that are shipped without content."""
    written = {path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8") for path in DOCS.rglob("*.md")}
    folders = (DOCS / "images", DOCS / "reports")
    shipped = [path.relative_to(DOCS).as_posix() for folder in folders for path in folder.iterdir()]
    images = dict.fromkeys([*shipped, *figures.PLOTS], "")
    found = {**written, **made, **images}
    return {path: links.rewritten(text, path, found) for path, text in found.items()}


def test_no_link_of_the_site_is_broken(site: dict[str, str]) -> None:
    lost = []
    for page, text in site.items():
        prose = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"(?<!!)\]\(([^)#\s]+)[^)]*\)", prose):
            if (
                not links.ELSEWHERE.match(target)
                and posixpath.normpath(posixpath.join(posixpath.dirname(page), target)) not in site
            ):
                lost.append(f"{page}: {target}")
    assert lost == []


@pytest.mark.parametrize(
    ("text", "page", "expected"),
    [
        ("[a](../plugins/latentry-ddim)", "choose.md", "[a](plugins/latentry-ddim.md)"),
        ("[a](../plugins/latentry-ddim/README.md#x)", "choose.md", "[a](plugins/latentry-ddim.md#x)"),
        ("[a](docs/choose.md)", "contributing.md", "[a](choose.md)"),
        ("[a](core/src/latentry/_errors.py)", "architecture.md", "a"),
        ("[a](https://example.org/b.md)", "choose.md", "[a](https://example.org/b.md)"),
        ("[a](memory.md)", "choose.md", "[a](memory.md)"),
        ("[a](nowhere.md)", "choose.md", "[a](nowhere.md)"),
        ("```\n[a](../plugins/latentry-ddim)\n```", "choose.md", "```\n[a](../plugins/latentry-ddim)\n```"),
    ],
)
def test_links_become_those_of_the_site(text: str, page: str, expected: str) -> None:
    known = {"choose.md", "memory.md", "contributing.md", "architecture.md", "plugins/latentry-ddim.md"}
    assert links.rewritten(text, page, known) == expected


def test_with_a_public_address_code_is_linked() -> None:
    given = links.rewritten("[a](../tox.ini)", "choose.md", {"choose.md"}, "https://example.org/source/")
    assert given == "[a](https://example.org/source/tox.ini)"


def test_every_distribution_hook_command_and_module_has_a_page(made: dict[str, str]) -> None:
    assert {f"plugins/{name}.md" for name in repository.distributions()} <= set(made)
    assert {f"reference/hooks/{kind.hook}.md" for kind in KINDS} <= set(made)
    assert {f"reference/commands/{name}.md" for name in (*COMMANDS, *PluginHost().commands)} <= set(made)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.hook)
def test_the_page_of_a_hook_has_its_signature_and_every_field(kind: Kind[Any], made: dict[str, str]) -> None:
    """The signature is run as code and compared with that of the hook specification."""
    page = made[f"reference/hooks/{kind.hook}.md"]
    (code,) = re.findall(r"```python\n(def .*?)\n```", page)
    namespace: dict[str, Any] = {}
    exec(f"from __future__ import annotations\n{code}", namespace)
    shown = inspect.signature(namespace[kind.hook])
    assert shown == inspect.signature(getattr(hookspecs, kind.hook))
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| `.*` \| .* \|$", page, re.MULTILINE)
    assert [name for name, _ in rows] == [field.name for field in dataclasses.fields(kind.record)]
    assert all(meaning.strip() for _, meaning in rows)


def test_the_page_of_a_scheduler_has_its_options(made: dict[str, str]) -> None:
    host = PluginHost()
    for name in ("unipc", "ddim"):
        page = made[f"plugins/{host.schedulers.provenance(name).distribution}.md"]
        section = page.split(f"## Scheduler `{name}`")[1]
        assert all(f"| `{option}` |" in section for option in host.schedulers.load(name).model_fields)


def test_troubleshooting_has_every_code() -> None:
    headings = re.findall(r"^## `(\w+)`$", (DOCS / "troubleshooting.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(headings) == {cls.code for cls in reference_pages.error_classes()}
    assert LatentryError in reference_pages.error_classes()


def test_every_page_is_in_the_navigation() -> None:
    """By name, or in a folder that is."""
    named = re.findall(r": ([\w/-]+(?:\.md|/))$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    written = [path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")]
    paths = [*written, *pages.FILES]
    assert [
        path
        for path in paths
        if not any(path == name or (name.endswith("/") and path.startswith(name)) for name in named)
    ] == []


def test_the_picture_shows_schedulers_that_exist() -> None:
    with Image.open(DOCS / "images" / "gallery.webp") as picture:
        described = json.loads(picture.getexif()[0x010E])
    host = PluginHost()
    assert set(described["schedulers"]) <= set(host.schedulers)
    assert set(described["models"]) <= set(host.checkpoints)


def test_the_plots_have_the_figures_of_the_page() -> None:
    curves = figures.measured("vp", figures.PATH)
    assert set(figures.SHOWN) <= set(curves)
    page = (DOCS / "schedulers.md").read_text(encoding="utf-8")
    for name, curve in curves.items():
        assert re.search(rf"^\| {name} \| {curve[5]:g} .*\| {curve[40]:g} ", page, re.MULTILINE), name


def test_the_tutorial_and_the_cookbook_have_files() -> None:
    for name, least in (("tutorial.md", 6), ("cookbook.md", 6)):
        assert sum(bool(block.title) for block in blocks(DOCS / name)) >= least
    assert Path(repository.ROOT) == ROOT


@pytest.mark.slow
def test_the_table_of_bridges_is_what_the_bridges_do() -> None:
    written = (DOCS / "bridge-matrix.md").read_text(encoding="utf-8")
    assert written == script("bridge_matrix").page()
