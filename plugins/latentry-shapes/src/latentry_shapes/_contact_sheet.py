"""Contact sheets: pictures with their prompts. Wrong pictures get a red frame."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

COLUMNS = 4
PICTURE, MARGIN, TEXT = 192, 12, 46
STRIP = 128
"""Height of a picture in a strip, in pixels."""
LINE = 34
"""Characters in a line of a prompt."""


def contact_sheet(pictures: Sequence[Image.Image], prompts: Sequence[str], right: Sequence[bool]) -> Image.Image:
    """Rows of four pictures, each scaled up without smoothing and with its prompt below."""
    return _sheet([[picture] for picture in pictures], prompts, right, PICTURE, COLUMNS)


def strips(groups: Sequence[Sequence[Image.Image]], prompts: Sequence[str], right: Sequence[bool]) -> Image.Image:
    """Rows of two groups, the pictures of a group side by side: for instance original, mask and result."""
    return _sheet(groups, prompts, right, STRIP, 2)


def _sheet(
    groups: Sequence[Sequence[Image.Image]], prompts: Sequence[str], right: Sequence[bool], side: int, columns: int
) -> Image.Image:
    wide = side * len(groups[0])
    width, height = wide + MARGIN, side + MARGIN + TEXT
    rows = -(-len(groups) // columns)
    sheet = Image.new("RGB", (columns * width + MARGIN, rows * height + MARGIN), (236, 236, 236))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for i, (group, prompt, good) in enumerate(zip(groups, prompts, right, strict=True)):
        x, y = MARGIN + i % columns * width, MARGIN + i // columns * height
        if not good:
            pen.rectangle((x - 4, y - 4, x + wide + 3, y + side + 3), fill=(220, 0, 0))
        for j, picture in enumerate(group):
            scaled = picture.convert("RGB").resize((side, side), Image.Resampling.NEAREST)
            sheet.paste(scaled, (x + j * side, y))
        words = "\n".join(textwrap.wrap(prompt, LINE * wide // PICTURE))
        pen.multiline_text((x, y + side + 5), words, fill=(20, 20, 20), font=font, spacing=2)
    return sheet
