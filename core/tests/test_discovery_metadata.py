"""Headers of ``METADATA`` files, against ``importlib_metadata``'s own reading of them."""

from __future__ import annotations

from pathlib import Path

import importlib_metadata
import pytest

from latentry._discovery._loading._metadata import metadata_of

ODD = """Metadata-Version: 2.1
NAME: odd-one
Version:   1.0
Requires-Dist: latentry
    >=1.0,<2
requires-dist: torch ; extra == 'all'
License: a first line
\t
\tand, after one of spaces, a last
Name: second

Requires-Dist: in the description
"""


def test_every_installed_distribution_is_read_as_importlib_metadata_reads_it() -> None:
    found = [one for one in importlib_metadata.distributions() if one.read_text("METADATA")]
    assert len(found) > 20
    for distribution in found:
        requires = tuple(" ".join(line.split()) for line in distribution.requires or ())
        read = metadata_of(distribution)
        assert (read.name, read.version) == (distribution.name, distribution.version)
        assert tuple(" ".join(line.split()) for line in read.requires) == requires


def test_folded_lines_letters_of_any_case_and_the_end_of_the_headers(tmp_path: Path) -> None:
    (tmp_path / "METADATA").write_text(ODD, encoding="utf-8")
    read = metadata_of(importlib_metadata.PathDistribution(tmp_path))
    assert read.name == "odd-one"
    assert read.version == "1.0"
    assert read.requires == ("latentry >=1.0,<2", "torch ; extra == 'all'")


def test_an_egg_is_left_to_importlib_metadata(tmp_path: Path) -> None:
    (tmp_path / "PKG-INFO").write_text("Metadata-Version: 1.0\nName: egg\nVersion: 3\n", encoding="utf-8")
    (tmp_path / "requires.txt").write_text("latentry>=1\n", encoding="utf-8")
    assert metadata_of(importlib_metadata.PathDistribution(tmp_path)) == ("egg", "3", ("latentry>=1",))


def test_metadata_without_a_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "METADATA").write_text("Version: 1.0\n", encoding="utf-8")
    with pytest.raises(KeyError, match="name"):
        metadata_of(importlib_metadata.PathDistribution(tmp_path))
