"""A release gives every distribution one version, a changelog entry and a tag; a dry run changes nothing."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from support.distributions import CORE
from support.scripts import script

ROOT = CORE.parent
RELEASE = script("release")
NAMES = ("latentry-ddim", "latentry-hub", "latentry-diffusers", "latentry-sdxl", "latentry-attention-sage")


def git(folder: Path, *words: str) -> str:
    command = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.invalid", *words]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with the files that a release touches, of some distributions."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@example.invalid")
    root = tmp_path / "repository"
    for project in (CORE, *(ROOT / "plugins" / name for name in NAMES)):
        left_out = shutil.ignore_patterns("__pycache__", "tests")
        shutil.copytree(project, root / project.relative_to(ROOT), ignore=left_out)
    shutil.copy(ROOT / "CHANGELOG.md", root)
    git(root.parent, "init", "--quiet", "--initial-branch=main", str(root))
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "All of it")
    return root


def run(root: Path, *words: str, address: str | None = "https://example.org/latentry/") -> int:
    where = [] if address is None else ["--address", address]
    code: int = RELEASE.main([*words, *where, "--root", str(root), "--date", "2030-01-02"])
    return code


def tables(root: Path) -> dict[str, dict[str, Any]]:
    files = RELEASE.projects(root)
    return {file.name: tomllib.loads((file / "pyproject.toml").read_text())["project"] for file in files}


def test_every_distribution_gets_the_version_and_bounds_that_hold_it(checkout: Path) -> None:
    assert run(checkout, "0.7.1") == 0
    projects = tables(checkout)
    assert {table["version"] for table in projects.values()} == {"0.7.1"}
    needs = projects["latentry-sdxl"]["dependencies"]
    assert "latentry-diffusers>=0.7,<0.8" in needs
    assert "latentry>=0.1,<2" in needs  # the contract, which this release has too
    assert git(checkout, "status", "--porcelain") == ""


def test_the_changelog_gets_an_entry_and_git_a_tag_with_it(checkout: Path) -> None:
    before = (checkout / "CHANGELOG.md").read_text(encoding="utf-8")
    notes = RELEASE.unreleased(before)
    assert run(checkout, "0.7.1") == 0
    after = (checkout / "CHANGELOG.md").read_text(encoding="utf-8")
    assert after == before.replace("## Unreleased\n", "## Unreleased\n\n## 0.7.1, 2030-01-02\n")
    assert RELEASE.unreleased(after) == ""
    assert notes.splitlines()[-1] in git(checkout, "tag", "--list", "v0.7.1", "--format=%(contents)")
    assert git(checkout, "rev-parse", "v0.7.1^{commit}") == git(checkout, "rev-parse", "HEAD")


def test_a_dry_run_leaves_the_checkout_as_it_was(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = git(checkout, "rev-parse", "HEAD"), git(checkout, "show-ref")
    assert run(checkout, "0.7.1", "--dry-run", "--on-an-index") == 0
    assert "Latentry 0.7.1" in capsys.readouterr().out
    assert (git(checkout, "rev-parse", "HEAD"), git(checkout, "show-ref")) == before
    assert git(checkout, "status", "--porcelain") == ""


def test_the_first_release_says_where_everything_is(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tables(checkout)
    assert run(checkout, "0.7.1", address=None) == 1
    assert "Give --address" in capsys.readouterr().err
    assert run(checkout, "0.7.1") == 0
    after = tables(checkout)
    for name, table in after.items():
        place, page = ("core", "") if name == "core" else (f"plugins/{name}", f"plugins/{name}/")
        assert table.pop("urls") == {
            "Documentation": f"https://example.org/latentry/docs/{page}",
            "Source": f"https://example.org/latentry/source/{place}",
            "Changelog": "https://example.org/latentry/docs/changelog/",
            "Issues": "https://example.org/latentry/issues",
        }
        others = before[name].keys() - {"version", "dependencies", "optional-dependencies"}
        assert table.keys() == before[name].keys()
        assert all(table[key] == before[name][key] for key in others)


def test_later_releases_keep_the_address_or_take_another(checkout: Path) -> None:
    assert run(checkout, "0.7.1") == 0
    (checkout / "CHANGELOG.md").write_text("## Unreleased\n\n- More.\n", encoding="utf-8")
    git(checkout, "commit", "--quiet", "--all", "--message", "More")
    assert run(checkout, "0.7.2", "--dry-run", address=None) == 0
    assert run(checkout, "0.7.2", address="https://example.com") == 0
    assert tables(checkout)["core"]["urls"]["Issues"] == "https://example.com/issues"


def test_on_an_index_names_are_enough(checkout: Path) -> None:
    assert run(checkout, "0.7.1", "--on-an-index") == 0
    for name, command in (
        ("latentry-ddim", "pip install latentry-ddim\n"),
        ("latentry-sdxl", "pip install latentry-sdxl latentry-dpmpp\n"),
        ("latentry-attention-sage", "pip install latentry-attention-sage[cuda]\n"),
    ):
        readme = (checkout / "plugins" / name / "README.md").read_text(encoding="utf-8")
        assert command in readme
        assert "./plugins" not in readme
        assert "in a clone of" not in readme
    assert "ON_AN_INDEX = True" in (checkout / "core/src/latentry/_peers/_install.py").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "version", "reason"),
    [
        ("edit", "0.7.1", "The checkout has changes."),
        ("tag", "0.7.1", "The tag v0.7.1 exists."),
        ("", "0.0.9", "0.0.9 is not newer than 0.1.0."),
        ("versions", "0.7.1", "several versions: 0.1.0, 0.5.0"),
        ("changelog", "0.7.1", "nothing under Unreleased"),
    ],
)
def test_what_would_make_a_wrong_release_is_refused(
    checkout: Path, spoil: str, version: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if spoil == "edit":
        (checkout / "CHANGELOG.md").write_text("new")
    elif spoil == "tag":
        git(checkout, "tag", "v0.7.1")
    elif spoil:
        file = checkout / ("CHANGELOG.md" if spoil == "changelog" else "plugins/latentry-ddim/pyproject.toml")
        text = file.read_text(encoding="utf-8")
        changed = "# Changelog\n" if spoil == "changelog" else text.replace('version = "0.1.0"', 'version = "0.5.0"')
        file.write_text(changed, encoding="utf-8")
        git(checkout, "commit", "--quiet", "--all", "--message", "Spoilt")
    head = git(checkout, "rev-parse", "HEAD")
    assert run(checkout, version) == 1
    assert reason in capsys.readouterr().err
    assert git(checkout, "rev-parse", "HEAD") == head
