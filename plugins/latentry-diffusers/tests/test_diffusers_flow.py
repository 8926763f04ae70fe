"""Time shifts and picture sizes from configurations."""

from __future__ import annotations

import math
from typing import Any

import pytest

from latentry import ModelError, OptionError
from latentry_diffusers.model.picture_size import check_size
from latentry_diffusers.model.time_shift import flow_shift


@pytest.mark.parametrize(
    ("config", "tokens", "shift"),
    [
        ({}, 64, 1.0),
        ({"shift": 3.0}, 4096, 3.0),
        ({"shift": 3.0, "use_dynamic_shifting": True}, 256, math.exp(0.5)),
        ({"shift": 3.0, "use_dynamic_shifting": True}, 4096, math.exp(1.15)),
        ({"use_dynamic_shifting": True, "max_shift": 0.9, "time_shift_type": "linear"}, 4096, 0.9),
        (
            {"use_dynamic_shifting": True, "base_shift": 0.1, "base_image_seq_len": 10, "max_image_seq_len": 20},
            15,
            math.exp((0.1 + 1.15) / 2),
        ),
    ],
    ids=str,
)
def test_the_shift_follows_from_the_configuration(config: dict[str, Any], tokens: int, shift: float) -> None:
    assert flow_shift(config, tokens) == pytest.approx(shift, rel=1e-12)


@pytest.mark.parametrize(
    "config",
    [
        {"shift": 0.0},
        {"shift": float("nan")},
        {"shift": "three"},
        {"use_dynamic_shifting": True, "time_shift_type": "odd"},
        {"use_dynamic_shifting": True, "base_shift": None},
        {"use_dynamic_shifting": True, "max_image_seq_len": 256},
    ],
    ids=str,
)
def test_what_gives_no_shift_is_one_clear_error(config: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="does not give a time shift") as caught:
        flow_shift(config, 64)
    assert caught.value.why
    assert caught.value.remedy


@pytest.mark.parametrize("limits", [{"stride": 8}, {"stride": 16, "most": 100}, {"stride": 8, "least": 32}], ids=str)
def test_a_size_that_cannot_be_comes_with_one_that_can(limits: dict[str, int]) -> None:
    most, least = limits.get("most", 10**6), limits.get("least", 1)
    refused = 0
    for width in range(0, 150, 7):
        for height in (16, 64, 65, 96, 112):
            fits = all(side % limits["stride"] == 0 and max(1, least) <= side <= most for side in (width, height))
            try:
                check_size(width, height, best=64, **limits)
                assert fits
            except OptionError as error:
                assert not fits
                near = [int(side) for side in error.remedy.partition(";")[0].removeprefix("Use ").split("×")]
                check_size(*near, best=64, **limits)
                refused += 1
    assert refused
