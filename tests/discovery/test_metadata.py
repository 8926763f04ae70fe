"""Damage in what pip wrote: one distribution suffers, the others do not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.distributions import Distribution, Site, install
from support.faulty import FINE, scheduler

OTHER = Distribution("latentry-other", scheduler("other"))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("metadata"), FINE, OTHER)


@pytest.fixture
def site(core: Path, sound: Path, tmp_path: Path) -> Site:
    return Site((core, Path(shutil.copytree(sound, tmp_path / "site"))))


def info(site: Site) -> Path:
    (folder,) = site.folders[1].glob("latentry_other-*.dist-info")
    return folder


def damaged(site: Site) -> str:
    """The message about the damage; the other plugin works on."""
    report = site.host(load=["latentry", "fine", "other"])
    assert report.names["schedulers"] == ["fine"]
    return "\n".join(problem["message"] for problem in report.problems)


def test_a_distribution_without_metadata(site: Site) -> None:
    (info(site) / "METADATA").unlink()
    assert "latentry_other-1.0.dist-info" in damaged(site)
    assert "Install it again, or remove" in damaged(site)


def test_a_damaged_list_of_entry_points(site: Site) -> None:
    (info(site) / "entry_points.txt").write_text("[latentry]\nother\n")
    assert "the metadata of its distribution cannot be read" in damaged(site)


def test_an_entry_point_without_a_value(site: Site) -> None:
    (info(site) / "entry_points.txt").write_text("[latentry]\nother = \n")
    assert "plugin 'other' of latentry-other 1.0" in damaged(site)


def test_a_copy_further_down_the_path_is_hidden(site: Site, core: Path, tmp_path: Path) -> None:
    newer = Distribution("latentry-other", scheduler("newer"), plugin="renamed", version="2.0")
    first = install(tmp_path / "newer", newer)
    report = Site((core, first, site.folders[1])).host(load=["latentry-other"])
    assert report.plugins == [["renamed", "latentry-other", "2.0"]]
    assert report.names["schedulers"] == ["newer"]


def test_uninstalling_takes_a_plugin_away(site: Site) -> None:
    assert "other" in site.host().names["schedulers"]
    shutil.rmtree(info(site))
    assert "other" not in site.host().names["schedulers"]
