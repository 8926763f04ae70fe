"""An option that is given has an effect, or is refused: those that need another option."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.commandline import fresh

from latentry._cli._commands._generate import generate
from latentry._cli._field_options import FieldCommand, FieldOption

VALUES = {
    "switch": "0.5",
    "skip_layer_scale": "3",
    "skip_layer_interval": "0,0.5",
    "lora_mode": "merged",
    "strength": "0.5",
    "strength_mode": "full",
    "mask": "mask.png",
    "mask_feather": "4",
    "blocks_per_group": "2",
}


def needing() -> dict[str | None, FieldOption]:
    assert isinstance(generate, FieldCommand)
    return {option.name: option for option in generate.field_options if option.needs}


def test_every_option_that_needs_another_is_tried() -> None:
    assert set(needing()) == set(VALUES)


@pytest.mark.parametrize("name", VALUES)
def test_it_is_refused_alone(name: str, tmp_path: Path) -> None:
    option = needing()[name]
    done = fresh("generate", "a", option.opts[0], VALUES[name], folder=tmp_path)
    assert done.code == 2
    assert done.err.startswith(f"error: {option.opts[0]} {VALUES[name]}: it has no effect without --")
