"""Judges a trained model: ``python -m latentry_shapes.judge``. Exits with 1 if the model misses a bar.

The model draws scenes with colour-shape pairs that were held out of training, and the judge looks at the pixels. Three
more rows show how far the judge can be trusted: its score on drawings of the same scenes, on what the autoencoder makes
of the drawings, and on generated pictures compared with each other's prompts, which is chance.

An inpainting model draws the scenes by redrawing all of a gray picture, and also edits pictures through masks.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from rich.console import Console

from latentry import LatentryError, PluginHost
from latentry_shapes._contact_sheet import contact_sheet, strips
from latentry_shapes._detection import detect
from latentry_shapes._progress import progress
from latentry_shapes._report import as_data, as_table, edits_as_data, edits_as_table
from latentry_shapes._scoring import COLUMNS, Score, Share, compare, count_right
from latentry_shapes._shipped import folder_of, qualified
from latentry_shapes.drawing import draw
from latentry_shapes.edit_judge import NETWORK, EditReport, judge_edits
from latentry_shapes.painters import (
    CHUNK,
    Painter,
    Picture,
    Reconstruct,
    engine_editor,
    engine_painter,
    pipeline_editor,
    reconstruction,
)
from latentry_shapes.scenes import HELD_OUT, Scene, random_scene

DRAWINGS = "drawings"
RECONSTRUCTIONS = "reconstructions"
GENERATED = "generated"
SHUFFLED = "shuffled prompts"

BARS: Mapping[str, Mapping[str, float]] = {
    DRAWINGS: dict.fromkeys(COLUMNS, 99.0),
    GENERATED: {"background": 95.0, "colours": 95.0, "relation": 90.0, "shapes": 80.0},
}
"""What a shipped model has to reach, in percent."""
SHEET = 16
"""Pictures on a contact sheet."""


@dataclass(frozen=True)
class Report:
    """The judge's table, and the pictures behind it."""

    rows: Mapping[str, Mapping[str, Share]]
    scenes: Sequence[Scene]
    pictures: Sequence[Picture]
    scores: Sequence[Score]

    def missed(self) -> list[str]:
        """One sentence for each bar that is missed."""
        return [
            f"{row}, {column}: {self.rows[row][column].percent:.1f} %, the bar is {bar:g} %"
            for row, bars in BARS.items()
            for column, bar in bars.items()
            if self.rows[row][column].of and self.rows[row][column].percent < bar
        ]


def held_out_scenes(count: int, seed: int) -> list[Scene]:
    """Scenes of pairs that training never showed; every fourth has a single thing."""
    rng = random.Random(f"{seed} judge")
    return [random_scene(rng, HELD_OUT, singles=float(i % 4 == 3)) for i in range(count)]


def score_all(scenes: Sequence[Scene], pictures: Sequence[Picture]) -> list[Score]:
    """The score of each picture, compared with its scene."""
    return [compare(scene, detect(picture)) for scene, picture in zip(scenes, pictures, strict=True)]


def judge(paint: Painter, reconstruct: Reconstruct, *, prompts: int = 200, seed: int = 0) -> Report:
    """Draws, reconstructs and paints the same held-out scenes, and counts what is right."""
    scenes = held_out_scenes(prompts, seed)
    rng = random.Random(f"{seed} judge's drawings")
    drawings = [Image.fromarray(draw(scene, rng)) for scene in scenes]
    pictures = _paint_all(paint, [scene.caption() for scene in scenes], seed)
    scores = score_all(scenes, pictures)
    turn = random.Random(f"{seed} shuffle").randrange(1, prompts) if prompts > 1 else 0
    rows = {
        DRAWINGS: score_all(scenes, drawings),
        RECONSTRUCTIONS: score_all(scenes, reconstruct(drawings)),
        GENERATED: scores,
        SHUFFLED: score_all([*scenes[turn:], *scenes[:turn]], pictures),
    }
    return Report({name: count_right(row) for name, row in rows.items()}, scenes, pictures, scores)


def _paint_all(paint: Painter, prompts: Sequence[str], seed: int) -> list[Picture]:
    pictures: list[Picture] = []
    with progress("painting", 0, len(prompts)) as report:
        for start in range(0, len(prompts), CHUNK):
            pictures += paint(prompts[start : start + CHUNK], seed + start)
            report(len(pictures), "")
    return pictures


def _positive(word: str) -> int:
    number = int(word)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _is_inpainting(folder: Path) -> bool:
    return "Inpaint" in str(json.loads((folder / "model_index.json").read_text()).get("_class_name"))


def _guidance(model: str, asked: float | None) -> float | None:
    """The guidance scale: the one on the command line, else that of a shipped model's record, else None."""
    return PluginHost().checkpoints[model].guidance if asked is None and ":" in model else asked


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    summary = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m latentry_shapes.judge", description=summary)
    parser.add_argument(
        "--model",
        default="shapes",
        help="an installed model of this project, or a diffusers folder (default: %(default)s)",
    )
    parser.add_argument("--prompts", type=_positive, default=200, help="number of prompts (default: %(default)s)")
    parser.add_argument(
        "--edits", type=_positive, default=96, help="number of edits by an inpainting model (default: %(default)s)"
    )
    parser.add_argument("--scheduler", default="ddim", help="(default: %(default)s)")
    parser.add_argument("--steps", type=_positive, default=25, help="(default: %(default)s)")
    parser.add_argument("--guidance", type=float, help="guidance scale (default: the model's)")
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    parser.add_argument("--sheet", type=Path, help=f"write the first {SHEET} pictures and their prompts to this file")
    parser.add_argument(
        "--edits-sheet", type=Path, help=f"write the first {SHEET} edits to this file: original, mask, result"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(words)
    if not (folder_of(args.model) / "model_index.json").is_file():
        parser.error(
            f"{args.model} is neither an installed model of this project nor a diffusers folder with a model_index.json"
        )
    return args


def main(words: Sequence[str] | None = None) -> int:
    """Command line. Returns 0 if every bar is reached, 1 if one is missed, 2 if no pictures could be made."""
    args = _arguments(words)
    model = qualified(args.model) or args.model
    folder = folder_of(args.model)
    sampling = {"scheduler": args.scheduler, "steps": args.steps, "guidance": args.guidance}
    inpainting, reconstruct = _is_inpainting(folder), reconstruction(folder)
    edits: EditReport | None = None
    try:
        paint = engine_painter(model, **sampling, inpainting=inpainting)
        report = judge(paint, reconstruct, prompts=args.prompts, seed=args.seed)
        if inpainting:
            network = pipeline_editor(folder, steps=args.steps, guidance=_guidance(model, args.guidance))
            engine = engine_editor(model, **sampling)
            edits = judge_edits(network, engine, reconstruct, count=args.edits, seed=args.seed)
    except LatentryError as error:
        print(error, file=sys.stderr)
        return 2
    missed = [*report.missed(), *(edits.missed() if edits else ())]
    _print(report, edits, missed, as_json=args.json)
    _write_sheets(report, edits, args.sheet, args.edits_sheet)
    return 1 if missed else 0


def _print(report: Report, edits: EditReport | None, missed: Sequence[str], *, as_json: bool) -> None:
    prompts = len(report.scenes)
    if as_json:
        more = {"edits": edits_as_data(edits)} if edits else {}
        print(json.dumps({**as_data(report.rows, prompts, BARS), **more, "missed": missed}, indent=2))
        return
    console = Console()
    console.print(as_table(report.rows, prompts))
    if edits:
        console.print(edits_as_table(edits))
    for line in missed:
        console.print(f"missed: {line}", markup=False)


def _write_sheets(report: Report, edits: EditReport | None, sheet: Path | None, edits_sheet: Path | None) -> None:
    first = slice(SHEET)
    if sheet:
        prompts = [scene.caption() for scene in report.scenes[first]]
        right = [score.all for score in report.scores[first]]
        contact_sheet(report.pictures[first], prompts, right).save(sheet)
    if edits and edits_sheet:
        row = edits.rows[NETWORK]
        groups = [(edit.picture, edit.mask, made) for edit, made in zip(edits.edits, row.pictures, strict=True)]
        prompts = [edit.asked.caption() for edit in edits.edits[first]]
        right = [score.all for score in row.scores[first]]
        strips(groups[first], prompts, right).save(edits_sheet)


if __name__ == "__main__":
    sys.exit(main())
