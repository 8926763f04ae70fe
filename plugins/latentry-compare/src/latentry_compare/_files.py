"""What a comparison leaves beside its pictures: the page, the figures and the grid."""

from __future__ import annotations

from pathlib import Path

from latentry import read_recipe
from latentry.commands import ContactSheet
from latentry_compare._names import FIGURES, GRID, PAGE
from latentry_compare._page import html
from latentry_compare._report import Report


def write_files(report: Report, folder: Path, *, thumbnail: int = 256) -> None:
    """Writes them.

    Args:
        report: what was found.
        folder: of the comparison.
        thumbnail: the longer side of the pictures in the page, in pixels.

    Raises:
        OSError: the folder cannot be written to.
    """
    (folder / PAGE).write_text(html(report, folder, thumbnail=thumbnail), encoding="utf-8")
    (folder / FIGURES).write_text(report.to_json(), encoding="utf-8")
    _grid(report, folder).write(folder / GRID)


def _grid(report: Report, folder: Path) -> ContactSheet:
    """A row of pictures for each reference and each setting."""
    from PIL import Image

    sheet = ContactSheet(columns=len(report.subjects))
    for row in (*report.references, *report.rows):
        for picture in row.pictures:
            if picture.file:
                with Image.open(folder / picture.file) as opened:
                    sheet.add(opened.convert("RGB"), read_recipe(folder / picture.file))
    return sheet
