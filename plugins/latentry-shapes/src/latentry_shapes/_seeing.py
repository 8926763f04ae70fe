"""Looks at a picture and says what is on it, from its pixels alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from latentry_shapes.likeness import likest, moments
from latentry_shapes.outlines import Array
from latentry_shapes.scenes import BACKGROUNDS, COLORS, RGB, SIZE

Mask = NDArray[np.bool_]

FOREGROUND = 50.0
"""How far a pixel of a thing is from the background, in RGB; the palette's nearest pair is 107 apart."""
FARTHEST = 75.0
"""A colour farther than this from all of a palette is none of it."""
SPECK = 30
"""Smaller components, in pixels, are not things; the smallest thing drawn has about 200."""
SHARE = 0.25
"""Least share of a component's core that makes a colour a thing of its own, where two things touch."""


@dataclass(frozen=True)
class Seen:
    """One thing: its colour and shape, None where they are like no known one, and its centre in pixels."""

    color: str | None
    shape: str | None
    x: float
    y: float


@dataclass(frozen=True)
class Sight:
    """What a picture shows."""

    background: str | None
    things: tuple[Seen, ...]


def see(picture: Image.Image) -> Sight:
    """The background and every thing on a picture; pictures of another size are scaled first."""
    image = picture.convert("RGB")
    if image.size != (SIZE, SIZE):
        image = image.resize((SIZE, SIZE), Image.Resampling.BOX)
    pixels = np.asarray(image, dtype=np.float64)
    ground = np.median(_border(pixels), axis=0)
    smooth = ndimage.median_filter(pixels, size=(3, 3, 1))
    foreground = np.linalg.norm(smooth - ground, axis=-1) > FOREGROUND
    masks = [mask for component in _components(foreground) for mask in _by_color(smooth, component)]
    occupied = np.logical_or.reduce(masks) if masks else foreground
    things = tuple(_thing(pixels, smooth, ground, mask, occupied & ~mask) for mask in masks)
    return Sight(_nearest(ground, BACKGROUNDS), things)


def _border(pixels: Array) -> Array:
    inner = np.zeros(pixels.shape[:2], dtype=np.bool_)
    inner[2:-2, 2:-2] = True
    border: Array = pixels[~inner]
    return border


def _components(mask: Mask) -> Iterator[Mask]:
    labels, count = ndimage.label(mask)
    for label in range(1, count + 1):
        component = labels == label
        if component.sum() >= SPECK:
            yield component


def _core(mask: Mask) -> Mask:
    """The mask without its blurred rim; all of it where nothing else is left."""
    for depth in (2, 1):
        core: Mask = ndimage.binary_erosion(mask, iterations=depth)
        if core.sum() >= SPECK // 3:
            return core
    return mask


def _by_color(smooth: Array, component: Mask) -> Iterator[Mask]:
    """The component, cut in pieces where it holds several colours: things that touch."""
    palette = np.asarray(list(COLORS.values()), dtype=np.float64)
    distance = np.linalg.norm(smooth[..., None, :] - palette, axis=-1)
    votes = np.bincount(distance.argmin(axis=-1)[_core(component)], minlength=len(palette))
    colors = np.flatnonzero(votes >= SHARE * votes.sum())
    if len(colors) < 2:
        yield component
        return
    nearest = colors[distance[..., colors].argmin(axis=-1)]
    for color in colors:
        yield from _components(component & (nearest == color))


def _thing(pixels: Array, smooth: Array, ground: Array, mask: Mask, others: Mask) -> Seen:
    color = np.median(smooth[_core(mask)], axis=0)
    along = color - ground
    length = max(float(np.linalg.norm(along)), 1.0)
    cover = np.clip((pixels - ground) @ along / length**2, 0.0, 1.0)
    cover[~ndimage.binary_dilation(mask, iterations=2) | others] = 0.0
    _, x, y = moments(cover)
    return Seen(_nearest(color, COLORS), likest(cover), x, y)


def _nearest(color: Array, palette: Mapping[str, RGB]) -> str | None:
    distances = {name: float(np.linalg.norm(color - np.asarray(rgb))) for name, rgb in palette.items()}
    name = min(distances, key=distances.__getitem__)
    return name if distances[name] <= FARTHEST else None
