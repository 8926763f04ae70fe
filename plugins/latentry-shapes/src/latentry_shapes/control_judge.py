"""Judges a ControlNet or an adapter: ``python -m latentry_shapes.control_judge``. Exits with 1 if it misses a bar.

Scenes of colour-shape pairs that were held out of training are drawn by the renderer; their outlines go to that
network, their captions to the model, and the intersection over union says how well what is drawn covers what the
outlines say. Pictures from the same prompts and seeds without it are the measure of chance.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

from latentry import ControlRequest, Engine, GenerationRequest, PluginHost
from latentry_shapes._contact_sheet import strips
from latentry_shapes._detection import detect, foreground_of
from latentry_shapes._progress import progress
from latentry_shapes._scoring import compare
from latentry_shapes.drawing import draw_with_outline
from latentry_shapes.judge import held_out_scenes
from latentry_shapes.scenes import Scene

WITHOUT = "without"
MODELS: Mapping[str, str] = {"shapes": "shapes-control", "shapes-flux": "shapes-flux-control"}
"""The ControlNet of each model."""
OVERLAP, RIGHT = 0.85, 90.0
"""Bars: the mean intersection over union, and the percentage of pictures that show all that the caption says."""
SHEET = 12

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Asked:
    """A held-out pair of outline and picture.

    Attributes:
        scene: what it shows.
        drawing: by the renderer.
        outline: white on black, RGB.
    """

    scene: Scene
    drawing: Image.Image
    outline: Image.Image


@dataclass(frozen=True)
class Row:
    """What became of the pairs in one way.

    Attributes:
        pictures: one for each pair.
        overlaps: intersection over union of each with the drawing.
        right: the percentage that show all that the caption says.
    """

    pictures: Sequence[Image.Image]
    overlaps: Sequence[float]
    right: float

    @property
    def overlap(self) -> float:
        """The mean."""
        return float(np.mean(self.overlaps))


def held_out_pairs(count: int, seed: int) -> list[Asked]:
    """Scenes of pairs that training never showed, with their outlines."""
    rng, found = random.Random(f"{seed} control judge"), []
    for scene in held_out_scenes(count, seed):
        drawing, outline = draw_with_outline(scene, rng)
        found.append(Asked(scene, Image.fromarray(drawing), Image.fromarray(outline).convert("RGB")))
    return found


def overlap(asked: Image.Image, drawn: Image.Image) -> float:
    """Intersection over union of what differs from the background in two pictures."""
    one, other = foreground_of(asked), foreground_of(drawn)
    return float((one & other).sum() / max((one | other).sum(), 1))


def judge(model: str, control: str | None, pairs: Sequence[Asked], *, steps: int, seed: int = 0) -> Row:
    """Draws the pairs' captions, under a ControlNet or an adapter or without one, and compares with the drawings."""
    engine = Engine(PluginHost())
    pictures = list(_drawn(engine, model, control, pairs, steps, seed))
    right = [compare(pair.scene, detect(picture)).all for pair, picture in zip(pairs, pictures, strict=True)]
    overlaps = [overlap(pair.drawing, picture) for pair, picture in zip(pairs, pictures, strict=True)]
    return Row(pictures, overlaps, 100 * sum(right) / len(right))


def _drawn(
    engine: Engine, model: str, control: str | None, pairs: Sequence[Asked], steps: int, seed: int
) -> Iterator[Image.Image]:
    with tempfile.TemporaryDirectory() as folder, progress(control or "without", 0, len(pairs)) as report:
        for number, pair in enumerate(pairs):
            outline = Path(folder) / f"{number}.png"
            pair.outline.save(outline)
            controls = (ControlRequest(model=control, picture=str(outline)),) if control else ()
            request = GenerationRequest(
                prompt=pair.scene.caption(), model=model, steps=steps, seed=seed + number, controls=controls
            )
            yield engine.generate(request).images[0]
            report(number + 1, "")


def main(words: Sequence[str] | None = None) -> int:
    """Command line. Returns 0 if every bar is reached, 1 if one is missed."""
    parser = argparse.ArgumentParser(prog="python -m latentry_shapes.control_judge", description=__doc__)
    parser.add_argument("--model", default="shapes", help="(default: %(default)s)")
    parser.add_argument("--control", help="folder or installed name (default: that of the model)")
    parser.add_argument("--prompts", type=int, default=100, help="number of outlines (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=20, help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    parser.add_argument("--sheet", type=Path, help=f"write the first {SHEET} to this file: outline, with, without")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(words)
    pairs = held_out_pairs(args.prompts, args.seed)
    control = args.control or MODELS[args.model]
    steered = f"with {Path(control).name}"
    chosen = {steered: control, WITHOUT: None}
    rows = {
        name: judge(args.model, control, pairs, steps=args.steps, seed=args.seed) for name, control in chosen.items()
    }
    missed = [
        f"{what}: {value:.2f}, the bar is {bar:g}"
        for what, value, bar in (("overlap", rows[steered].overlap, OVERLAP), ("right", rows[steered].right, RIGHT))
        if value < bar
    ]
    _print(rows, missed, as_json=args.json)
    if args.sheet:
        outlines = [pair.outline for pair in pairs]
        groups = list(zip(outlines, rows[steered].pictures, rows[WITHOUT].pictures, strict=True))
        prompts = [pair.scene.caption() for pair in pairs[:SHEET]]
        strips(groups[:SHEET], prompts, [each >= OVERLAP for each in rows[steered].overlaps[:SHEET]]).save(args.sheet)
    return 1 if missed else 0


def _print(rows: Mapping[str, Row], missed: Sequence[str], *, as_json: bool) -> None:
    data = {name: {"overlap": row.overlap, "right": row.right} for name, row in rows.items()}
    if as_json:
        print(json.dumps({**data, "missed": missed}, indent=2))
        return
    table = Table("pictures", "overlap with the outlines' shapes", "all as the caption says")
    for name, row in data.items():
        table.add_row(name, f"{row['overlap']:.3f}", f"{row['right']:.1f} %")
    console = Console()
    console.print(table)
    for line in missed:
        console.print(f"missed: {line}", markup=False)


if __name__ == "__main__":
    sys.exit(main())
