"""The judge detects what is drawn, also with blur and noise, and accepts any picture."""

from __future__ import annotations

import random

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from latentry_shapes._detection import detect
from latentry_shapes._scoring import COLUMNS, compare, count_right
from latentry_shapes.drawing import draw
from latentry_shapes.outlines import DISTANCES, coverage
from latentry_shapes.scenes import COLORS, PAIRS, SHAPES, Scene, Thing, random_scene

SCENES = 600
Picture = Image.Image


@pytest.fixture(scope="module")
def drawn() -> list[tuple[Scene, Picture]]:
    rng = random.Random(11)
    scenes = [random_scene(rng, PAIRS) for _ in range(SCENES)]
    return [(scene, Image.fromarray(draw(scene, rng))) for scene in scenes]


def noisy(picture: Picture, spread: float, seed: int) -> Picture:
    pixels = np.asarray(picture) + np.random.default_rng(seed).normal(0, spread, (64, 64, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def percents(drawn: list[tuple[Scene, Picture]]) -> dict[str, float]:
    shares = count_right(compare(scene, detect(picture)) for scene, picture in drawn)
    assert shares["background"].of == shares["shapes"].of == len(drawn)
    return {column: shares[column].percent for column in COLUMNS}


@pytest.mark.slow
def test_drawings(drawn: list[tuple[Scene, Picture]]) -> None:
    assert min(percents(drawn).values()) >= 99


@pytest.mark.slow
def test_blurred_drawings(drawn: list[tuple[Scene, Picture]]) -> None:
    blurred = [(s, p.filter(ImageFilter.GaussianBlur(1))) for s, p in drawn[:200]]
    assert min(percents(blurred).values()) >= 99


@pytest.mark.slow
def test_noisy_drawings(drawn: list[tuple[Scene, Picture]]) -> None:
    grainy = [(s, noisy(p, 20, i)) for i, (s, p) in enumerate(drawn[:200])]
    assert min(percents(grainy).values()) >= 99


@pytest.mark.slow
def test_blurred_and_noisy_drawings(drawn: list[tuple[Scene, Picture]]) -> None:
    worn = [(s, noisy(p.filter(ImageFilter.GaussianBlur(1)), 10, i)) for i, (s, p) in enumerate(drawn[:200])]
    assert min(percents(worn).values()) >= 98


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("color", COLORS)
def test_every_pair_on_every_background(color: str, shape: str) -> None:
    for background in ("black", "white", "gray"):
        scene = Scene(background, (Thing(color, shape),))
        assert compare(scene, detect(Image.fromarray(draw(scene, random.Random(1))))).all


def test_positions_are_in_pixels() -> None:
    picture = np.zeros((64, 64, 3), dtype=np.uint8)
    picture[coverage(DISTANCES["circle"], (20.0, 41.0, 9.0)) > 0.5] = COLORS["green"]
    (thing,) = detect(Image.fromarray(picture)).things
    assert (thing.color, thing.shape) == ("green", "circle")
    assert (thing.x, thing.y) == pytest.approx((20, 41), abs=0.3)


def test_small_components_are_ignored_and_larger_ones_are_things() -> None:
    picture = Image.new("RGB", (64, 64), (128, 128, 128))
    pen = ImageDraw.Draw(picture)
    pen.rectangle((4, 4, 7, 7), fill=COLORS["red"])
    assert detect(picture).things == ()
    pen.rectangle((30, 30, 41, 41), fill=COLORS["blue"])
    assert [(thing.color, thing.shape) for thing in detect(picture).things] == [("blue", "square")]


def test_touching_things_of_two_colors_are_two_things() -> None:
    picture = Image.new("RGB", (64, 64), (255, 255, 255))
    pen = ImageDraw.Draw(picture)
    pen.rectangle((10, 20, 31, 41), fill=COLORS["red"])
    pen.rectangle((32, 20, 53, 41), fill=COLORS["blue"])
    found = sorted((thing.x, thing.color, thing.shape) for thing in detect(picture).things)
    assert [(color, shape) for _, color, shape in found] == [("red", "square"), ("blue", "square")]


def test_colors_outside_the_palette_have_no_name() -> None:
    picture = Image.new("RGB", (64, 64), (0, 90, 0))
    ImageDraw.Draw(picture).rectangle((20, 20, 40, 40), fill=(255, 255, 255))
    detected = detect(picture)
    assert detected.background is None
    assert [thing.color for thing in detected.things] == [None]


def unusual() -> dict[str, Picture]:
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    checks = (np.indices((64, 64)).sum(axis=0) // 8 % 2 * 255).astype(np.uint8)
    return {
        **{f"blank {level}": Image.new("RGB", (64, 64), (level,) * 3) for level in (0, 77, 128, 255)},
        **{f"noise {i}": Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)) for i in range(10)},
        "blurred noise": Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).filter(
            ImageFilter.GaussianBlur(3)
        ),
        "gradient": Image.fromarray(np.broadcast_to(ramp, (64, 64)).copy()),
        "checks": Image.fromarray(checks),
        "transparent": Image.new("RGBA", (64, 64), (255, 0, 0, 0)),
        "palette": Image.new("P", (64, 64)),
        "large": Image.new("RGB", (512, 300), (255, 140, 200)),
        "tiny": Image.new("L", (1, 1), 255),
        "half": Image.fromarray(np.repeat(np.repeat([[0, 255]], 64, 0), 32, 1).astype(np.uint8)),
    }


@pytest.mark.parametrize("name", unusual())
def test_unusual_pictures_are_scored_as_wrong(name: str) -> None:
    detected = detect(unusual()[name])
    scene = Scene("black", (Thing("red", "circle"), Thing("blue", "square")), "left of")
    score = compare(scene, detected)
    assert not score.all
    assert not score.colours


def test_larger_drawings_are_scaled_first() -> None:
    scene = Scene("white", (Thing("purple", "cross"), Thing("yellow", "ring")), "above")
    assert compare(scene, detect(Image.fromarray(draw(scene, random.Random(0), size=128)))).all
