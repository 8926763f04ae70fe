"""A release of every distribution with one version: files, build, changelog entry, commit and tag.

``python scripts/release.py 0.2.0`` works on a clean checkout. It writes the version, the changelog's heading and the
bounds between this repository's distributions, builds all wheels and source distributions into ``dist``, checks their
metadata, commits and tags. ``--address https://…`` is where documentation, source and issues are; the first release has
to say so, since the distributions have no URLs until then. ``--on-an-index`` says that pip finds the distributions by
name, in messages and READMEs; it is needed once too.
``--dry-run`` does the same in a copy and keeps nothing but what is in ``--dist``. Nothing is uploaded.
"""

from __future__ import annotations

import argparse
import datetime
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

from packaging.version import Version

CLONE = "# in a clone of Latentry's repository"
UNRELEASED = "## Unreleased\n"
URLS = "[project.urls]\n"


class NotReady(Exception):
    """Why a release cannot be made."""


def projects(root: Path) -> list[Path]:
    """The folders of the distributions, the core first."""
    return [root / "core", *sorted(path.parent for path in (root / "plugins").glob("*/pyproject.toml"))]


def version_of(project: Path) -> Version:
    """What its ``pyproject.toml`` says."""
    table = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return Version(table["version"])


def check(root: Path, version: Version, address: str | None) -> None:
    """Refuses what would make a wrong release.

    Raises:
        NotReady: the checkout has changes, the versions differ or are newer, the tag is taken, the changelog has
            nothing to release, or nothing says where the documentation and the source are.
    """
    versions = {version_of(project) for project in projects(root)}
    if len(versions) != 1:
        raise NotReady(f"The distributions have several versions: {', '.join(map(str, sorted(versions)))}.")
    if git(root, "status", "--porcelain"):
        raise NotReady("The checkout has changes. Commit or remove them.")
    if git(root, "tag", "--list", f"v{version}"):
        raise NotReady(f"The tag v{version} exists.")
    if version < max(versions) or (version in versions and git(root, "tag", "--list")):
        raise NotReady(f"{version} is not newer than {max(versions)}.")
    if not unreleased((root / "CHANGELOG.md").read_text(encoding="utf-8")):
        raise NotReady("CHANGELOG.md has nothing under Unreleased.")
    texts = [(project / "pyproject.toml").read_text(encoding="utf-8") for project in projects(root)]
    if address is None and any(URLS not in text for text in texts):
        raise NotReady("Some distributions have no URLs. Give --address, below which documentation and source are.")


def unreleased(changelog: str) -> str:
    """What stands under the heading of that name."""
    _, found, rest = changelog.partition(UNRELEASED)
    return re.split(r"^## ", rest, maxsplit=1, flags=re.MULTILINE)[0].strip() if found else ""


def write(root: Path, version: Version, date: datetime.date, address: str | None, on_an_index: bool) -> None:
    """Everything that a release changes in files."""
    for project in projects(root):
        edit(project / "pyproject.toml", lambda text: with_version(text, version))
    edit(root / "CHANGELOG.md", lambda text: text.replace(UNRELEASED, f"{UNRELEASED}\n## {version}, {date}\n", 1))
    if address is not None:
        base = address.rstrip("/")
        for project in projects(root):
            place = project.relative_to(root).as_posix()
            edit(project / "pyproject.toml", lambda text, place=place: with_urls(text, place, base))
    if on_an_index:
        peers = root / "core" / "src" / "latentry" / "_peers"
        edit(peers / "_install.py", lambda text: text.replace("ON_AN_INDEX = False", "ON_AN_INDEX = True"))
        known = json.loads((peers / "distributions.json").read_text(encoding="utf-8"))
        needs = {name: each["needs"] for name, each in known.items()}
        for project in projects(root):
            edit(project / "README.md", lambda text: by_name(text, needs))


def with_urls(text: str, place: str, address: str) -> str:
    """A ``pyproject.toml`` that says where documentation, source and issues of its distribution are.

    Args:
        text: of the file.
        place: its folder in the repository, ``core`` or ``plugins/…``.
        address: below which all of them are, without a slash at its end.
    """
    documentation = "docs/" if place == "core" else f"docs/{place}/"
    paths = {
        "Documentation": documentation,
        "Source": f"source/{place}",
        "Changelog": "docs/changelog/",
        "Issues": "issues",
    }
    table = URLS + "".join(f'{name} = "{address}/{path}"\n' for name, path in paths.items()) + "\n"
    tables = [each for each in re.split(r"^(?=\[)", text, flags=re.MULTILINE) if not each.startswith(URLS)]
    after = 1 + next(i for i, each in enumerate(tables) if each.startswith("[project]\n"))
    return "".join([*tables[:after], table, *tables[after:]])


def with_version(text: str, version: Version) -> str:
    """A ``pyproject.toml`` of this version, whose bounds on minor releases hold it.

    Bounds on the contract (``latentry>=0.1,<2``) stay.
    """
    text = re.sub(r'^version = ".*"$', f'version = "{version}"', text, count=1, flags=re.MULTILINE)
    minor = f">={version.major}.{version.minor},<{version.major}.{version.minor + 1}"
    return re.sub(r'("latentry-[a-z0-9-]+)>=\d+\.\d+,<\d+\.\d+"', rf'\g<1>{minor}"', text)


def by_name(readme: str, needs: dict[str, list[str]]) -> str:
    """A README that installs by name, without what a name brings.

    Args:
        readme: its text.
        needs: the other distributions of the repository that each one brings.
    """

    def command(found: re.Match[str]) -> str:
        words = found[0].replace("\\\n", " ").replace('"', "").split()[3:]  # after ./core
        names = [word.removeprefix("./plugins/") for word in words]
        brought = {other for name in names for other in needs[name.partition("[")[0]]}
        return f"pip install {' '.join(name for name in names if name not in brought) or 'latentry'}"

    readme = re.sub(r"^pip install \./core(?:[^\n]*\\\n)*[^\n]*", command, readme, flags=re.MULTILINE)
    remark = re.compile(rf"^{re.escape(CLONE)}(?:; (.*))?\n", re.MULTILINE)
    return remark.sub(lambda found: f"# {found[1]}\n" if found[1] else "", readme)


def edit(file: Path, change: Callable[[str], str]) -> None:
    """Replace a file's text by a function of it."""
    file.write_text(change(file.read_text(encoding="utf-8")), encoding="utf-8")


def build(root: Path, dist: Path) -> list[Path]:
    """Wheels and source distributions of all projects, with this Python's hatchling and nothing from outside."""
    for project in projects(root):
        command = [sys.executable, "-m", "hatchling", "build", "--directory", str(dist.resolve())]
        subprocess.run(command, cwd=project, check=True, capture_output=True)
    return sorted([*dist.glob("*.whl"), *dist.glob("*.tar.gz")])


def git(root: Path, *words: str) -> str:
    """What git answers."""
    return subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def release(root: Path, args: argparse.Namespace) -> None:
    """The whole of it, in a checkout."""
    check(root, args.version, args.address)
    notes = unreleased((root / "CHANGELOG.md").read_text(encoding="utf-8"))
    write(root, args.version, args.date, args.address, args.on_an_index)
    if args.dist is not None:
        files = build(root, args.dist)
        print(f"{len(files)} files in {args.dist}, {sum(file.stat().st_size for file in files) / 1e6:.1f} MB")
    title = f"Latentry {args.version}"
    git(root, "commit", "--quiet", "--all", "--message", title, "--message", notes)
    git(root, "tag", "--annotate", f"v{args.version}", "--message", title, "--message", notes)
    print(f"Committed and tagged v{args.version}.")


def main(words: Sequence[str] | None = None) -> int:
    """Command line. Returns 1 where nothing can be released."""
    parser = argparse.ArgumentParser(prog="python scripts/release.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("version", type=Version)
    today = datetime.date.today()
    parser.add_argument("--date", type=datetime.date.fromisoformat, default=today, help="in the changelog")
    parser.add_argument("--address", help="below which documentation, source and issues are; needed once")
    parser.add_argument("--on-an-index", action="store_true", help="pip finds the distributions by name from now on")
    parser.add_argument("--dist", type=Path, help="build into this folder")
    parser.add_argument("--dry-run", action="store_true", help="in a copy; nothing here changes but --dist")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[1], help=argparse.SUPPRESS)
    args = parser.parse_args(words)
    try:
        if not args.dry_run:
            release(args.root, args)
        else:
            with tempfile.TemporaryDirectory() as folder:
                copy = Path(folder) / "copy"
                git(args.root, "clone", "--quiet", "--shared", str(args.root), str(copy))
                release(copy, args)
                print(git(copy, "show", "--stat", "--format=%B", "HEAD"))
    except NotReady as reason:
        print(reason, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
