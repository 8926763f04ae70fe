"""Judges a trained model: ``python -m latentry_shapes.judge``. Exits with 1 where it misses a bar.

The model draws scenes whose colour-shape pairs were kept out of training, and the judge looks at the pixels.
Its table also says how far the judge can be trusted: its score on the drawings, on what the autoencoder makes
of them, and on generated pictures held against each other's prompts, which is chance.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console
from rich.table import Table

from latentry import LatentryError
from latentry_shapes._checkpoint import packaged
from latentry_shapes._progress import progress
from latentry_shapes._seeing import see
from latentry_shapes._sheet import contact_sheet
from latentry_shapes._verdict import COLUMNS, Share, Verdict, compare, tally
from latentry_shapes.drawing import draw
from latentry_shapes.scenes import HELD_OUT, SIZE, Scene, random_scene

Picture = Image.Image
Painter = Callable[[Sequence[str], int], list[Picture]]
"""Makes one picture for each prompt, from a seed."""
Rebuilder = Callable[[Sequence[Picture]], list[Picture]]
"""What the autoencoder makes of pictures."""

DRAWINGS = "drawings"
RECONSTRUCTIONS = "reconstructions"
GENERATED = "generated"
SHUFFLED = "shuffled prompts"

BARS: Mapping[str, Mapping[str, float]] = {
    DRAWINGS: dict.fromkeys(COLUMNS, 99.0),
    GENERATED: {"background": 95.0, "colours": 95.0, "relation": 90.0, "shapes": 80.0},
}
"""What the shipped model has to reach, in percent."""
DISTRIBUTION = "latentry-shapes"
"""With it a shipped model has a name that no other package can take."""
CHUNK = 20
"""Prompts that are painted at a time."""
SHEET = 16
"""Pictures on the contact sheet."""


@dataclass(frozen=True)
class Report:
    """The judge's table, with what is needed for a contact sheet."""

    rows: Mapping[str, Mapping[str, Share]]
    scenes: Sequence[Scene]
    pictures: Sequence[Picture]
    verdicts: Sequence[Verdict]

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


def verdicts(scenes: Sequence[Scene], pictures: Sequence[Picture]) -> list[Verdict]:
    """The verdict on each picture of a scene."""
    return [compare(scene, see(picture)) for scene, picture in zip(scenes, pictures, strict=True)]


def judge(paint: Painter, rebuild: Rebuilder, *, prompts: int = 200, seed: int = 0) -> Report:
    """Draws, rebuilds and paints the same held-out scenes, and counts what is right on them."""
    scenes = held_out_scenes(prompts, seed)
    rng = random.Random(f"{seed} judge's drawings")
    drawings = [Image.fromarray(draw(scene, rng)) for scene in scenes]
    pictures = _paint_all(paint, [scene.caption() for scene in scenes], seed)
    found = verdicts(scenes, pictures)
    turn = random.Random(f"{seed} shuffle").randrange(1, prompts) if prompts > 1 else 0
    rows = {
        DRAWINGS: verdicts(scenes, drawings),
        RECONSTRUCTIONS: verdicts(scenes, rebuild(drawings)),
        GENERATED: found,
        SHUFFLED: verdicts([*scenes[turn:], *scenes[:turn]], pictures),
    }
    return Report({name: tally(row) for name, row in rows.items()}, scenes, pictures, found)


def _paint_all(paint: Painter, prompts: Sequence[str], seed: int) -> list[Picture]:
    pictures: list[Picture] = []
    with progress("painting", 0, len(prompts)) as report:
        for start in range(0, len(prompts), CHUNK):
            pictures += paint(prompts[start : start + CHUNK], seed + start)
            report(len(pictures), "")
    return pictures


def engine_painter(model: str, *, scheduler: str, steps: int, guidance: float | None, blank: bool = False) -> Painter:
    """Paints with Latentry, with whatever plugins are installed.

    Args:
        model: folder or installed name.
        scheduler: its name.
        steps: of the scheduler.
        guidance: the scale, None for the model's.
        blank: it is an inpainting model, and draws the whole of a grey picture anew.
    """
    from latentry import Engine, GenerationRequest, PluginHost

    engine = Engine(PluginHost())
    settings: dict[str, Any] = {"model": model, "scheduler": scheduler, "steps": steps, "batch": CHUNK}
    beside: dict[str, Any] = {}
    if guidance is not None:
        settings["guidance"] = guidance
    if blank:
        settings["strength"] = 1.0
        beside = {"init_image": Image.new("RGB", (SIZE, SIZE), "grey"), "mask": Image.new("L", (SIZE, SIZE), 255)}

    def paint(prompts: Sequence[str], seed: int) -> list[Picture]:
        request = GenerationRequest(prompt=tuple(prompts), seed=seed, **settings)
        return list(engine.generate(request, **beside).images)

    return paint


def autoencoder_rebuilder(model: Path) -> Rebuilder:
    """Encodes and decodes with the model's autoencoder, the mean of the latents standing for them."""
    import torch
    from diffusers import AutoencoderKL
    from diffusers.image_processor import VaeImageProcessor

    vae = AutoencoderKL.from_pretrained(model / "vae", local_files_only=True).float()
    processor = VaeImageProcessor(vae_scale_factor=1)

    @torch.no_grad()
    def rebuild(pictures: Sequence[Picture]) -> list[Picture]:
        shown: list[Picture] = []
        for start in range(0, len(pictures), CHUNK):
            seen = processor.preprocess(list(pictures[start : start + CHUNK]))
            shown += processor.postprocess(vae.decode(vae.encode(seen).latent_dist.mean).sample)
        return shown

    return rebuild


def as_table(report: Report) -> Table:
    """For people: percent, and under each column's name of how many pictures."""
    counts = report.rows[GENERATED]
    table = Table("pictures", title=f"{len(report.scenes)} held-out prompts", title_justify="left")
    for column in COLUMNS:
        table.add_column(f"{column}\nof {counts[column].of}", justify="right")
    for name, row in report.rows.items():
        table.add_row(name, *(f"{row[column].percent:.1f} %" for column in COLUMNS))
    return table


def as_data(report: Report) -> dict[str, object]:
    """For programs: the same, with the bars and what is missed."""
    rows = {
        name: {column: {**asdict(share), "percent": share.percent} for column, share in row.items()}
        for name, row in report.rows.items()
    }
    return {"prompts": len(report.scenes), "rows": rows, "bars": BARS, "missed": report.missed()}


def _positive(word: str) -> int:
    number = int(word)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _weights(model: str) -> Path:
    return packaged().get(model) or Path(model)


def _paints_inside(folder: Path) -> bool:
    """Whether it is an inpainting model."""
    return "Inpaint" in str(json.loads((folder / "model_index.json").read_text()).get("_class_name"))


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    summary = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m latentry_shapes.judge", description=summary)
    parser.add_argument(
        "--model", default="shapes", help="a shipped model or a diffusers folder (default: %(default)s)"
    )
    parser.add_argument("--prompts", type=_positive, default=200, help="how many (default: %(default)s)")
    parser.add_argument("--scheduler", default="ddim", help="(default: %(default)s)")
    parser.add_argument("--steps", type=_positive, default=25, help="(default: %(default)s)")
    parser.add_argument("--guidance", type=float, help="guidance scale (default: the model's)")
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    parser.add_argument("--sheet", type=Path, help=f"write the first {SHEET} pictures and their prompts here")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(words)
    if not (_weights(args.model) / "model_index.json").is_file():
        parser.error(f"{args.model} is neither a shipped model nor a diffusers folder: it has no model_index.json")
    return args


def main(words: Sequence[str] | None = None) -> int:
    """Command line: 0 where every bar is reached, 1 where one is missed, 2 where nothing could be painted."""
    args = _arguments(words)
    model = f"{DISTRIBUTION}:{args.model}" if args.model in packaged() else args.model
    folder = _weights(args.model)
    sampling = {"scheduler": args.scheduler, "steps": args.steps, "guidance": args.guidance}
    paint = engine_painter(model, **sampling, blank=_paints_inside(folder))
    try:
        report = judge(paint, autoencoder_rebuilder(folder), prompts=args.prompts, seed=args.seed)
    except LatentryError as error:
        print(error, file=sys.stderr)
        return 2
    if args.json:
        print(json.dumps(as_data(report), indent=2))
    else:
        console = Console()
        console.print(as_table(report))
        for line in report.missed():
            console.print(f"missed: {line}", markup=False)
    if args.sheet:
        first = slice(SHEET)
        prompts = [scene.caption() for scene in report.scenes[first]]
        right = [verdict.all for verdict in report.verdicts[first]]
        contact_sheet(report.pictures[first], prompts, right).save(args.sheet)
    return 1 if report.missed() else 0


if __name__ == "__main__":
    sys.exit(main())
