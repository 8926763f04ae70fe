"""The picture of all schedulers on all shipped models: ``python scripts/gallery.py docs/images/gallery.webp``.

One prompt and one seed for each model, every scheduler under its own defaults. The names that are in it are kept in the
picture, and a test compares them with the installed ones.
"""

from __future__ import annotations

import json
import math
import sys
import textwrap
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from latentry import Engine, GenerationRequest, LatentryError, PluginHost

PROMPTS = {
    "shapes": "a red circle left of a blue square on a white background",
    "shapes-v": "a yellow ring above a purple cross on a black background",
    "shapes-sdxl": "an orange diamond right of a cyan triangle on a gray background",
    "shapes-sd3": "a green square below a pink circle on a white background",
    "shapes-flux": "a blue triangle left of a yellow diamond on a black background",
    "shapes-z-image": "a purple square left of an orange ring on a gray background",
}
STEPS, SEED = 16, 5
SIDE, GAP, HEAD, MOST = 96, 6, 52, 13
INK = (110, 110, 110)


def drawn(names: list[str]) -> dict[tuple[str, str], Image.Image]:
    """Pictures by model and scheduler; what does not go together is left out."""
    engine = Engine(PluginHost())
    found = {}
    for model, prompt in PROMPTS.items():
        for name in names:
            request = GenerationRequest(prompt=prompt, model=model, scheduler=name, steps=STEPS, seed=SEED)
            try:
                found[model, name] = engine.generate(request).images[0]
            except LatentryError as error:
                print(f"{name} on {model}: {error}", file=sys.stderr)
    return found


def laid_out(pictures: dict[tuple[str, str], Image.Image], names: list[str]) -> Image.Image:
    """Schedulers from left to right in several bands, the models of each band from top to bottom."""
    columns = math.ceil(len(names) / math.ceil(len(names) / MOST))
    bands = [names[start : start + columns] for start in range(0, len(names), columns)]
    height = HEAD + len(PROMPTS) * (SIDE + GAP)
    sheet = Image.new("RGBA", (columns * (SIDE + GAP) - GAP, len(bands) * (height + GAP) - 2 * GAP))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for row, band in enumerate(bands):
        for column, name in enumerate(band):
            left, top = column * (SIDE + GAP), row * (height + GAP)
            words = textwrap.fill(name, 13)  # at the dashes
            pen.multiline_text((left + SIDE / 2, top + HEAD - 5), words, INK, font, "md", align="center", spacing=1)
            for place, model in enumerate(PROMPTS):
                picture = pictures.get((model, name))
                if picture is not None:
                    scaled = picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
                    sheet.paste(scaled, (left, top + HEAD + place * (SIDE + GAP)))
    return sheet


def main(path: Path) -> None:
    """Draw it and write it."""
    names = list(PluginHost().schedulers)
    sheet = laid_out(drawn(names), names)
    exif = Image.Exif()
    exif[0x010E] = json.dumps({"schedulers": names, "models": list(PROMPTS), "steps": STEPS})  # ImageDescription
    sheet.save(path, quality=82, method=6, exif=exif)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
