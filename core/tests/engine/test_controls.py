"""Controls of a request: how they are typed, their weights over a run, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from torch import Tensor

from latentry import ControlRequest, Curve, Engine, GenerationRequest, LatentryError, PluginError, PluginHost
from latentry._conditioning._controls import Control, Controls
from latentry._conditioning._mask import ControlMask
from latentry._contract._conditioner import ControlQuery
from latentry._contract._conditioning import Conditioning
from latentry._numerics._processes._point import Point, Query
from latentry._request._values._reading import controls as read
from latentry.conditioners import BaseConditioner


def test_a_curve_is_straight_between_its_points_and_constant_outside() -> None:
    curve = Curve.parse("1@0.2,0.5@0.6,2@0.6,0@1")
    assert [curve.at(share, 0.0) for share in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)] == pytest.approx([1, 1, 0.75, 2, 1, 0])


def test_a_curve_over_noise_levels() -> None:
    curve = Curve.parse("σ:0@1,1@3")
    assert [curve.at(0.5, level) for level in (0.0, 1.0, 2.0, 7.0, math.inf)] == pytest.approx([0, 0, 0.5, 1, 1])
    assert Curve.model_validate_json(curve.model_dump_json()) == curve


@pytest.mark.parametrize("text", ["", "1", "1@", "a@b", "1@0.5,2@0.1", "1@2", "x:1@0"])
def test_what_is_not_a_curve(text: str) -> None:
    with pytest.raises(ValueError):
        Curve.parse(text)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("canny=a.png", {}),
        ("canny=a.png:0.5", {"weight": 0.5}),
        ("canny=a.png:0.5:0-0.6", {"weight": 0.5, "interval": (0.0, 0.6)}),
        ("canny=a.png:1@0,0@1", {"weight": Curve(points=((0.0, 1.0), (1.0, 0.0)))}),
        ("canny=a.png:0.5:mask=b.png", {"weight": 0.5, "mask": "b.png"}),
        (
            "canny=a.png:2:mode=depth:branches=prompt",
            {"weight": 2.0, "branches": "prompt", "options": {"mode": "depth"}},
        ),
    ],
)
def test_how_a_control_is_typed(text: str, fields: dict[str, Any]) -> None:
    (typed,) = read(text)
    assert ControlRequest(**typed) == ControlRequest(model="canny", picture="a.png", **fields)


@pytest.mark.parametrize("text", ["canny", "=a.png", "canny=", "canny=a.png:1:0-1:2", "canny=a.png:1:0-1-2"])
def test_what_is_not_a_control(text: str) -> None:
    with pytest.raises(ValueError, match=r"MODEL=PICTURE|VALUE@PLACE"):
        read(text)


def test_paths_with_a_drive() -> None:
    (typed,) = read(r"canny=C:\a.png:0.5:mask=D:\b.png")
    assert ControlRequest(**typed) == ControlRequest(model="canny", picture=r"C:\a.png", weight=0.5, mask=r"D:\b.png")


def test_an_interval_lies_within_the_run() -> None:
    with pytest.raises(ValidationError, match="two shares"):
        ControlRequest(model="a", picture="b", interval=(0.5, 0.2))


class Ones(BaseConditioner):
    """Injects ones at a point."""

    def __init__(self, point: str = "mid") -> None:
        self.point = point

    def prepare(self, model: Any, picture: Tensor, options: Any, number: int) -> Any:
        return lambda asked: {self.point: torch.full((len(asked.x), 1), asked.weight)}


def control(point: str = "mid", **request: Any) -> Control:
    ones = Ones(point)
    asked = ControlRequest(model="", picture="", **request)
    inject: Any = lambda query: ones.prepare(None, torch.zeros(1), None, 0)(query)  # noqa: E731
    return Control(ones, inject, asked, ("mid", "down.*"))


def steered(controls: Controls, index: int = 0, negative: tuple[bool, ...] = (False,)) -> dict[str, Tensor]:
    point = Point(lam=0.0, alpha=0.5, sigma=0.5, timestep=500.0)
    x = torch.zeros(len(negative), 1)
    steer = controls.at(Query(x, point, 500.0, index), negative)
    return {} if steer is None else steer(x, 500.0, Conditioning({"text": x}))


def test_what_several_inject_is_added_with_their_weights() -> None:
    found = steered(Controls((control(weight=0.5), control(weight=2.0), control("down.3")), steps=4))
    assert found["mid"].tolist() == [[2.5]]
    assert found["down.3"].tolist() == [[1.0]]


def test_steps_outside_the_interval_are_not_steered() -> None:
    """A step counts as inside where all of it is, as in diffusers."""
    controls = Controls((control(interval=(0.2, 0.6)),), steps=10)
    assert [bool(steered(controls, index)) for index in range(10)] == [index in range(2, 6) for index in range(10)]


def test_the_negative_prompts_rows_can_be_left_alone() -> None:
    found = steered(Controls((control(branches="prompt"),)), negative=(True, False, True))
    assert found["mid"].tolist() == [[0.0], [1.0], [0.0]]
    assert steered(Controls((control(branches="prompt"),)), negative=(True,)) == {}


def test_a_point_that_the_family_does_not_have_names_the_plugin() -> None:
    with pytest.raises(PluginError, match=r"Ones injects 'block\.1'"):
        steered(Controls((control("block.1"),)))


def test_a_weight_of_zero_asks_nothing() -> None:
    def never(asked: ControlQuery) -> dict[str, Tensor]:
        raise AssertionError

    silent = Control(Ones(), never, ControlRequest(model="", picture="", weight=0.0), ("mid",))
    assert steered(Controls((silent,))) == {}


def test_a_family_without_injection_points_refuses_controls(host: PluginHost, model: str, tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(picture)
    request = GenerationRequest(
        prompt="a", model=model, controls=(ControlRequest(model=str(tmp_path / "none"), picture=str(picture)),)
    )
    with pytest.raises(LatentryError) as refused:
        Engine(host).prepare(request)
    assert refused.value.field == "controls"


LATENTS = (12, 8)
"""Rows and columns of the latents that masks are tried on; pixels are four times as fine."""


def half(places: tuple[int, int], seed: int) -> Tensor:
    """A mask in pixels, (1, 1, height, width): white in blocks of some places, drawn by seed."""
    generator = torch.Generator().manual_seed(seed)
    coarse = (torch.rand(1, 1, *places, generator=generator) > 0.5).float()
    coarse[..., 0, 0], coarse[..., -1, -1] = 0.0, 1.0
    return torch.nn.functional.interpolate(coarse, scale_factor=4 * LATENTS[0] // places[0], mode="nearest")


@pytest.mark.parametrize("level", [1, 2])
def test_outside_its_mask_a_control_injects_zeros_and_inside_what_it_would(level: int) -> None:
    places = (LATENTS[0] // level, LATENTS[1] // level)
    mask = ControlMask(half(places, seed=level))
    x, cells = torch.zeros(2, 4, *LATENTS), mask.levels[..., :: 4 * level, :: 4 * level]
    maps = torch.randn(2, 3, *places)
    assert torch.equal(mask.confine("down.0", maps, x), torch.where(cells > 0, maps, 0.0))
    tokens = maps.flatten(2).transpose(1, 2)
    confined = mask.confine("block.0", tokens, x).transpose(1, 2).unflatten(2, places)
    assert torch.equal(confined, torch.where(cells > 0, maps, 0.0))


def test_a_place_that_a_mask_covers_in_part_is_steered_in_part() -> None:
    levels = torch.zeros(1, 1, 8, 8)
    levels[..., :3, :] = 1.0
    confined = ControlMask(levels).confine("mid", torch.ones(1, 1, 2, 2), torch.zeros(1, 4, 8, 8))
    assert confined.flatten().tolist() == pytest.approx([0.75, 0.75, 0.0, 0.0])


def test_each_of_several_controls_has_its_own_mask() -> None:
    left = torch.zeros(1, 1, 8, 8)
    left[..., :4] = 1.0
    point = Point(lam=0.0, alpha=0.5, sigma=0.5, timestep=500.0)
    x = torch.zeros(1, 4, 2, 2)

    def one(weight: float, mask: ControlMask | None) -> Control:
        asked = ControlRequest(model="", picture="", weight=weight)
        inject: Any = lambda query: {"mid": torch.full((1, 1, 2, 2), query.weight)}  # noqa: E731
        return Control(Ones(), inject, asked, ("mid",), mask)

    controls = Controls((one(2.0, ControlMask(left)), one(3.0, ControlMask(1 - left)), one(0.5, None)))
    steer = controls.at(Query(x, point, 500.0, 0), (False,))
    assert steer is not None
    assert steer(x, 500.0, Conditioning({"text": x}))["mid"].flatten().tolist() == [2.5, 3.5, 2.5, 3.5]


def test_what_confines_itself_is_given_its_mask_and_left_as_it_is() -> None:
    levels, told = torch.zeros(1, 1, 8, 8), []

    def inject(asked: ControlQuery) -> dict[str, Tensor]:
        told.append(asked.mask)
        return {"mid": torch.ones(1, 1, 2, 2)}

    asked = ControlRequest(model="", picture="")
    controls = Controls((Control(Ones(), inject, asked, ("mid",), ControlMask(levels, own=True)),))
    point, x = Point(lam=0.0, alpha=0.5, sigma=0.5, timestep=500.0), torch.zeros(1, 4, 2, 2)
    steer = controls.at(Query(x, point, 500.0, 0), (False,))
    assert steer is not None
    assert steer(x, 500.0, Conditioning({"text": x}))["mid"].sum() == 4.0
    assert told[0] is levels


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (1, 7, 16), (1, 16)])
def test_what_has_no_places_cannot_be_confined(shape: tuple[int, ...]) -> None:
    with pytest.raises(LatentryError, match="cannot be confined") as refused:
        ControlMask(torch.ones(1, 1, 8, 8)).confine("mid", torch.ones(shape), torch.zeros(1, 4, 8, 8))
    assert refused.value.field == "controls"
