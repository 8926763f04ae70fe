"""A contact sheet: pictures with their prompts, those that miss what was asked in a red frame."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

COLUMNS = 4
PICTURE, MARGIN, TEXT = 192, 12, 46
LINE = 34
"""Characters of a prompt in a line."""


def contact_sheet(pictures: Sequence[Image.Image], prompts: Sequence[str], right: Sequence[bool]) -> Image.Image:
    """Rows of four, each picture scaled up with its pixels kept and its prompt below it."""
    rows = -(-len(pictures) // COLUMNS)
    cell = PICTURE + MARGIN
    sheet = Image.new("RGB", (COLUMNS * cell + MARGIN, rows * (cell + TEXT) + MARGIN), (236, 236, 236))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for i, (picture, prompt, good) in enumerate(zip(pictures, prompts, right, strict=True)):
        x, y = MARGIN + i % COLUMNS * cell, MARGIN + i // COLUMNS * (cell + TEXT)
        if not good:
            pen.rectangle((x - 4, y - 4, x + PICTURE + 3, y + PICTURE + 3), fill=(220, 0, 0))
        sheet.paste(picture.convert("RGB").resize((PICTURE, PICTURE), Image.Resampling.NEAREST), (x, y))
        words = "\n".join(textwrap.wrap(prompt, LINE))
        pen.multiline_text((x, y + PICTURE + 5), words, fill=(20, 20, 20), font=font, spacing=2)
    return sheet
