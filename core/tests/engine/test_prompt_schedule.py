"""Prompts whose words change over a run: as AUTOMATIC1111's documentation describes them, and in pictures."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from support.stitched import stitched

from latentry import Engine, GenerationRequest, OptionError, PluginHost, Recipe
from latentry._conditioning._prompt_schedule import DEEPEST, prompt_syntax_of, schedule_of
from latentry._generate._adopt import adopt
from latentry._pictures._settings import ForeignSettings

A1111 = "automatic1111"
LANDSCAPE = (
    "fantasy landscape with a [mountain:lake:0.25] and [an oak:a christmas tree:0.75][ in foreground::0.6]"
    "[: in background:0.25] [shoddy:masterful:0.5]"
)
"""The example of AUTOMATIC1111's page on features, with what it says of a run of 100 steps."""


def at_each(prompt: str, steps: int) -> list[str]:
    schedule = schedule_of(prompt, A1111, steps)
    assert len(set(schedule.texts)) == len(schedule.texts)
    return [schedule.texts[which] for which in schedule.steps]


def test_the_documented_example() -> None:
    found = at_each(LANDSCAPE, 100)
    expected = {
        0: "fantasy landscape with a mountain and an oak in foreground shoddy",
        25: "fantasy landscape with a lake and an oak in foreground in background shoddy",
        50: "fantasy landscape with a lake and an oak in foreground in background masterful",
        60: "fantasy landscape with a lake and an oak in background masterful",
        75: "fantasy landscape with a lake and a christmas tree in background masterful",
    }
    begins = [*expected, 100]
    for (begin, text), end in zip(expected.items(), begins[1:], strict=True):
        assert found[begin:end] == [text] * (end - begin)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("[a:b:2]", ["a", "a", "b", "b"]),
        ("[a:b:0.5]", ["a", "a", "b", "b"]),
        ("[a:b:0.3]", ["a", "b", "b", "b"]),
        ("[a:b:0]", ["b", "b", "b", "b"]),
        ("[a:b:9]", ["a", "a", "a", "a"]),
        ("x [b:1] y", ["x  y", "x b y", "x b y", "x b y"]),
        ("[a::.5]!", ["a!", "a!", "!", "!"]),
        ("[a|b]", ["a", "b", "a", "b"]),
        ("[a|b|]c", ["ac", "bc", "c", "ac"]),
        ("[a:[b|c]:1]", ["a", "c", "b", "c"]),
        ("[[a:b:1]|c]", ["a", "c", "b", "c"]),
        ("(a [b:c:2]:1.3)", ["(a b:1.3)", "(a b:1.3)", "(a c:1.3)", "(a c:1.3)"]),
        ("[(a:1.2):b:2]", ["(a:1.2)", "(a:1.2)", "b", "b"]),
        ("[soft [a:b:2]]", ["[soft a]", "[soft a]", "[soft b]", "[soft b]"]),
    ],
)
def test_what_it_is_at_each_step(prompt: str, expected: list[str]) -> None:
    assert at_each(prompt, 4) == expected


@pytest.mark.parametrize(
    "prompt",
    ["", "a", "[a]", "[a:b]", "[a:b:c:0.5]", r"\[a|b\]", r"[a\|b", "[a|b", "a|b", "a]:0.5", "[a:-1]", "([a|b)"],
)
def test_any_other_text_stays_as_it_is(prompt: str) -> None:
    assert at_each(prompt, 4) == [prompt] * 4
    assert schedule_of("[a|b]", "plain", 4).texts == ("[a|b]",)


def test_any_text_is_read_and_long_ones_at_once() -> None:
    draw = random.Random(0)
    for _ in range(300):
        at_each("".join(draw.choices("[]()|:\\ab01.", k=draw.randrange(40))), 3)
    for text in ("[" * 50_000, "[" * 50_000 + "]" * 50_000, "[a|" * 20_000 + "]" * 20_000, "[a:" * 30_000):
        assert at_each(text, 2)
    assert at_each("[" * (DEEPEST - 1) + "[a|b]" + "]" * (DEEPEST - 1), 2)[1].strip("[]") == "b"


def request(model: Any, **wanted: Any) -> GenerationRequest:
    return GenerationRequest(**({"prompt": "a", "model": str(model), "seed": 5, "steps": 6} | wanted))


PROMPTS = ("[a:b c:2]", "d [e|f g|h i j]", "k")


@pytest.mark.parametrize("scheduler", ["first", "two-stage", "noisy"])
def test_each_step_is_drawn_from_its_words(host: PluginHost, engine: Engine, model: str, scheduler: str) -> None:
    """Also the negative prompt; as the runs of the single prompts, step by step."""
    common = {"scheduler": scheduler, "guidance": 2.0}
    wanted = request(model, prompt=PROMPTS, negative="[l:m n:0.5]", prompt_syntax=A1111, **common)
    drawn = engine.generate(wanted)
    each = list(zip(*(at_each(text, 6) for text in PROMPTS), strict=True))
    singles = [request(model, prompt=each[i], negative=at_each("[l:m n:0.5]", 6)[i], **common) for i in range(6)]
    assert torch.allclose(drawn.latents, stitched(host, singles), atol=1e-6)
    recipe = Recipe.model_validate_json(drawn.recipes[1].model_dump_json())
    assert recipe.request.prompt == PROMPTS
    assert torch.equal(engine.reproduce(recipe).latents, drawn.latents[1:2])


@pytest.mark.parametrize("scheduler", ["first", "two-stage", "noisy", "halving", "greedy"])
def test_a_picture_does_not_depend_on_its_company(engine: Engine, model: str, scheduler: str) -> None:
    wanted = request(model, prompt=PROMPTS, prompt_syntax=A1111, scheduler=scheduler)
    together = engine.generate(wanted).latents
    assert torch.allclose(engine.generate(wanted.model_copy(update={"batch": 1})).latents, together, atol=1e-6)
    jobs = [engine.submit(wanted.model_copy(update={"steps": steps})) for steps in (6, 9)]
    assert torch.allclose(jobs[0].result(timeout=120).latents, together, atol=1e-6)
    jobs[1].result(timeout=120)


def test_each_text_is_encoded_once(engine: Engine, model: str) -> None:
    wanted = request(model, prompt="[a|b]", guidance=1.0, prompt_syntax=A1111)
    loaded: Any = engine.load(engine.prepare(wanted))
    engine.generate(wanted)
    assert [prompts for prompts, _ in loaded.encoded] == [("a",), ("b",)]


def test_without_schedules_the_option_is_refused(engine: Engine, model: str) -> None:
    with pytest.raises(OptionError, match="prompt_syntax has no effect here"):
        engine.prepare(request(model, prompt="a [b]", prompt_syntax=A1111))
    with pytest.raises(OptionError, match="options negative, prompt_syntax have no effect here"):
        engine.prepare(request(model, negative="[a|b]", guidance=1.0, prompt_syntax=A1111))
    assert engine.prepare(request(model, negative="[a|b]", prompt_syntax=A1111)).request.prompt_syntax == A1111


def test_within_the_one_step_of_an_adaptive_scheduler_it_is_refused(engine: Engine, model: str) -> None:
    wanted = {"prompt": "[a:b:0.5]", "prompt_syntax": A1111}
    with pytest.raises(OptionError, match="prompt_syntax has no effect here") as refused:
        engine.prepare(request(model, scheduler="halving", steps=None, **wanted))
    assert "chooses its own steps" in (refused.value.why or "")
    assert "number of steps" in (refused.value.remedy or "")
    engine.prepare(request(model, scheduler="halving", steps=2, **wanted))
    engine.prepare(request(model, scheduler="first", steps=1, **wanted))


@pytest.mark.parametrize(
    ("prompts", "expected"),
    [(("a",), "plain"), (("[a]", "(b:1.2)"), "plain"), (("[a:b:0.5]",), A1111), (("a", "[b|c]"), A1111)],
)
def test_their_own_prompts_have_their_syntax_where_words_change(prompts: tuple[str, ...], expected: str) -> None:
    assert prompt_syntax_of(*prompts) == expected


@pytest.mark.parametrize(
    ("program", "given", "expected"),
    [
        ("AUTOMATIC1111", {}, A1111),
        ("ComfyUI", {}, None),
        ("AUTOMATIC1111", {"prompt": "a", "negative": "[b|c]"}, None),
        ("AUTOMATIC1111", {"prompt_syntax": "plain"}, "plain"),
    ],
)
def test_so_have_those_of_its_pictures(
    host: PluginHost, program: str, given: dict[str, Any], expected: str | None
) -> None:
    settings = ForeignSettings(program, prompt="a [cat:dog:0.5]", negative="[b]")
    assert adopt(host, settings, {"model": "any"} | given).fields.get("prompt_syntax") == expected
    assert "prompt_syntax" not in adopt(host, ForeignSettings(program, prompt="a [cat]"), {"model": "any"}).fields
