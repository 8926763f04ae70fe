"""Detects the background and the things in a picture, from its pixels alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from latentry_shapes.outlines import Array
from latentry_shapes.scenes import BACKGROUNDS, COLORS, RGB, SIZE
from latentry_shapes.shape_matching import closest_shape, moments

Mask = NDArray[np.bool_]

MIN_CONTRAST = 50.0
"""Least RGB distance of a thing's pixel from the background; the closest two colours of the palette are 107 apart."""
MAX_COLOR_DISTANCE = 75.0
"""A colour farther than this from every colour of a palette has no name in it."""
MIN_AREA = 30
"""Components with fewer pixels are ignored; the smallest thing that is ever drawn has about 200."""
MIN_COLOR_SHARE = 0.25
"""Where two things touch: least share of a component's core that makes a colour a thing of its own."""


@dataclass(frozen=True)
class DetectedThing:
    """One thing: colour and shape, None if they match no known one, and the centre of mass in pixels."""

    color: str | None
    shape: str | None
    x: float
    y: float


@dataclass(frozen=True)
class Detected:
    """What a picture shows; ``background`` is None if its colour matches no known one."""

    background: str | None
    things: tuple[DetectedThing, ...]


def detect(picture: Image.Image) -> Detected:
    """Finds the background and every thing in a picture. Pictures of another size are scaled to SIZE first."""
    pixels, smooth, ground = _levels(picture)
    foreground = _differs(smooth, ground)
    masks = [mask for component in _components(foreground) for mask in _split_by_color(smooth, component)]
    occupied = np.logical_or.reduce(masks) if masks else foreground
    things = tuple(_thing(pixels, smooth, ground, mask, occupied & ~mask) for mask in masks)
    return Detected(_nearest(ground, BACKGROUNDS), things)


def foreground_of(picture: Image.Image) -> Mask:
    """Which pixels differ from the background, (SIZE, SIZE)."""
    _, smooth, ground = _levels(picture)
    return _differs(smooth, ground)


def _levels(picture: Image.Image) -> tuple[Array, Array, Array]:
    """The pixels, the pixels without specks, and the colour of the background."""
    image = picture.convert("RGB")
    if image.size != (SIZE, SIZE):
        image = image.resize((SIZE, SIZE), Image.Resampling.BOX)
    pixels = np.asarray(image, dtype=np.float64)
    return pixels, ndimage.median_filter(pixels, size=(3, 3, 1)), np.median(_border(pixels), axis=0)


def _differs(smooth: Array, ground: Array) -> Mask:
    differs: Mask = np.linalg.norm(smooth - ground, axis=-1) > MIN_CONTRAST
    return differs


def _border(pixels: Array) -> Array:
    inner = np.zeros(pixels.shape[:2], dtype=np.bool_)
    inner[2:-2, 2:-2] = True
    border: Array = pixels[~inner]
    return border


def _components(mask: Mask) -> Iterator[Mask]:
    labels, count = ndimage.label(mask)
    for label in range(1, count + 1):
        component = labels == label
        if component.sum() >= MIN_AREA:
            yield component


def _core(mask: Mask) -> Mask:
    """The mask without its anti-aliased rim; the whole mask if almost nothing else is left."""
    for depth in (2, 1):
        core: Mask = ndimage.binary_erosion(mask, iterations=depth)
        if core.sum() >= MIN_AREA // 3:
            return core
    return mask


def _split_by_color(smooth: Array, component: Mask) -> Iterator[Mask]:
    """The component, split where it holds several colours, as two things that touch do."""
    palette = np.asarray(list(COLORS.values()), dtype=np.float64)
    distance = np.linalg.norm(smooth[..., None, :] - palette, axis=-1)
    votes = np.bincount(distance.argmin(axis=-1)[_core(component)], minlength=len(palette))
    colors = np.flatnonzero(votes >= MIN_COLOR_SHARE * votes.sum())
    if len(colors) < 2:
        yield component
        return
    nearest = colors[distance[..., colors].argmin(axis=-1)]
    for color in colors:
        yield from _components(component & (nearest == color))


def _thing(pixels: Array, smooth: Array, ground: Array, mask: Mask, others: Mask) -> DetectedThing:
    color = np.median(smooth[_core(mask)], axis=0)
    along = color - ground
    length = max(float(np.linalg.norm(along)), 1.0)
    cover = np.clip((pixels - ground) @ along / length**2, 0.0, 1.0)
    cover[~ndimage.binary_dilation(mask, iterations=2) | others] = 0.0
    _, x, y = moments(cover)
    return DetectedThing(_nearest(color, COLORS), closest_shape(cover), x, y)


def _nearest(color: Array, palette: Mapping[str, RGB]) -> str | None:
    distances = {name: float(np.linalg.norm(color - np.asarray(rgb))) for name, rgb in palette.items()}
    name = min(distances, key=distances.__getitem__)
    return name if distances[name] <= MAX_COLOR_DISTANCE else None
