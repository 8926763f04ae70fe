"""How much of CLIP can be left out is known before weights load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from latentry import Engine, GenerationRequest, OptionError, PluginHost


@pytest.mark.parametrize("family", ["sd", "sdxl", "sd3", "flux"])
def test_the_most_that_is_taken_is_the_most_that_encoders_can_do_without(
    families: Mapping[str, Path], family: str
) -> None:
    engine = Engine(PluginHost())

    def setup(skip: int) -> Any:
        return engine.prepare(GenerationRequest(prompt="a", model=str(families[family]), clip_skip=skip))

    taken = setup(0)
    most, model = taken.checkpoint.clip_skips, engine.load(taken)
    settings = taken.prompt_settings(negative=False)
    with pytest.raises(OptionError, match=f"{most + 1} more of CLIP's last layers"):
        setup(most + 1)
    if family == "flux":
        assert most == 0
        return
    setup(most)
    model.encode_prompt(["a"], replace(settings, clip_skip=most))
    with pytest.raises(OptionError, match="text encoder's layers cannot be left out"):
        model.encode_prompt(["a"], replace(settings, clip_skip=most + 1))
