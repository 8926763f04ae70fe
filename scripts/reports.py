"""The comparisons of ``docs/compare.md``: ``python scripts/reports.py docs/reports``.

Four schedulers, three numbers of steps and eight seeds on each shipped model. The pictures themselves go into
``--work``, where an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gallery import PROMPTS
from PIL import Image

from latentry import Engine, GenerationRequest, PluginHost
from latentry_compare import Axes, Comparison, Reference, compare, html

SCHEDULERS, STEPS, SEEDS = ("unipc", "dpmpp-2m", "heun", "euler"), (5, 10, 20), range(8)
INPAINTING, REDRAWN = "shapes-inpainting", "a red circle left of a yellow triangle"
REFERENCE, THUMBNAIL = 64, 64


def inpainted(engine: Engine) -> Mapping[str, Any]:
    """Fields of an inpainting: the right half of a picture of the default model, both written to this folder."""
    picture, mask = Path("picture.png"), Path("mask.png")
    request = GenerationRequest(prompt=PROMPTS["shapes"], model="shapes", seed=0)
    image = engine.generate(request).images[0]
    image.save(picture)
    white = Image.new("L", image.size)
    white.paste(255, (image.width // 2, 0, *image.size))
    white.save(mask)
    return {"init_image": str(picture), "mask": str(mask), "strength": 1.0}


def report(engine: Engine, model: str, work: Path, folder: Path, *, times: bool) -> None:
    """Draws the comparison of one model, and writes its page and its figures."""
    more = inpainted(engine) if model == INPAINTING else {}
    axes = Axes(
        prompts=[{"prompt": PROMPTS.get(model, REDRAWN)}], schedulers=SCHEDULERS, steps=STEPS, seeds=tuple(SEEDS)
    )
    common = {"model": model, "batch": len(SEEDS), **more}
    comparison = Comparison(axes=axes, common=common, reference=Reference(steps=REFERENCE))
    done = compare(engine, comparison, work / model, resume=True, told=lambda *told: print(model, *told, flush=True))
    if not times:
        done = replace(done, rows=tuple(replace(row, seconds=None) for row in done.rows))
        done = replace(done, references=tuple(replace(row, seconds=None) for row in done.references))
    (folder / f"{model}.html").write_text(html(done, work / model, thumbnail=THUMBNAIL), encoding="utf-8")
    (folder / f"{model}.json").write_text(done.to_json(), encoding="utf-8")


def main() -> None:
    """Write a page and a JSON file for each model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--work", type=Path, help="for the pictures; a folder that is deleted if not given")
    parser.add_argument("--model", action="append", help="of these alone")
    parser.add_argument("--times", action="store_true", help="with wall times: on a machine without other work")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    engine = Engine(PluginHost())
    with tempfile.TemporaryDirectory() as scratch:
        work = (arguments.work or Path(scratch)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        os.chdir(work)  # so that the figures name pictures without a path
        for model in arguments.model or (*PROMPTS, INPAINTING):
            report(engine, model, work, folder, times=arguments.times)


if __name__ == "__main__":
    main()
