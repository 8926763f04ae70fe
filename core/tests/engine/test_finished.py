"""Pictures are handed out batch by batch, each before the next batch begins."""

from __future__ import annotations

from typing import Any

import pytest

from latentry import Engine, GenerationRequest, GenerationResult, ProgressEvent


def request(model: str, **wanted: Any) -> GenerationRequest:
    return GenerationRequest(
        **({"prompt": "a", "model": model, "seed": 5, "steps": 3, "count": 5, "batch": 2} | wanted)
    )


def test_each_batch_is_handed_out_once_and_is_what_the_result_holds(engine: Engine, model: str) -> None:
    given: list[GenerationResult] = []
    whole = engine.generate(request(model), finished=given.append)
    assert [[recipe.index for recipe in each.recipes] for each in given] == [[0, 1], [2, 3], [4]]
    assert [recipe for each in given for recipe in each.recipes] == list(whole.recipes)
    assert [image.tobytes() for each in given for image in each.images] == [image.tobytes() for image in whole.images]


def test_a_batch_is_handed_out_before_the_next_is_begun(engine: Engine, model: str) -> None:
    told: list[str] = []

    def progress(event: ProgressEvent) -> None:
        if event.stage in ("sample", "decode"):
            told.append(event.stage)

    engine.generate(request(model), progress=progress, finished=lambda _: told.append("finished"))
    order = [stage for stage, before in zip(told, ["", *told], strict=False) if stage != before]
    assert order == ["sample", "decode", "finished"] * 3


def test_what_is_raised_while_a_batch_is_handed_out_cancels(engine: Engine, model: str) -> None:
    given: list[GenerationResult] = []

    def full(result: GenerationResult) -> None:
        given.append(result)
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        engine.generate(request(model), finished=full)
    assert len(given) == 1
    assert len(engine.generate(request(model)).images) == 5
