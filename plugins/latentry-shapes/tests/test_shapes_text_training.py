"""The right answers for a caption, and text encoders that learn to give them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from latentry_shapes._progress import Report
from latentry_shapes.drawing import place
from latentry_shapes.encoders import TEXT_ENCODERS, TOKENS
from latentry_shapes.scenes import (
    BACKGROUNDS,
    COLORS,
    PARTLY_NAMED,
    RELATIONS,
    SHAPES,
    TRAINED,
    Scene,
    Thing,
    partly_named,
    random_scene,
)
from latentry_shapes.text_training import (
    ANSWERS,
    ASKED,
    BY_RELATION,
    CLASSES,
    COLOR,
    MARK,
    PLACES,
    Reader,
    answer_loss,
    answers,
    captions,
    classes,
    positions,
    train_text_encoder,
    unmarked,
)

RED, BLUE = Thing("red", "circle"), Thing("blue", "square")


@contextmanager
def silent(title: str, start: int, total: int) -> Iterator[Report]:
    yield lambda done, note: None


def answers_in_words(scene: Scene, caption: str) -> tuple[dict[str, str], dict[str, str], str]:
    """The answers in words: colours and shapes by place, and the background."""
    colors, shapes, background = answers(scene, caption)
    return (
        {place: classes(tuple(COLORS))[answer] for place, answer in zip(PLACES, colors, strict=True)},
        {place: classes(SHAPES)[answer] for place, answer in zip(PLACES, shapes, strict=True)},
        classes(tuple(BACKGROUNDS))[background[0]],
    )


@pytest.mark.parametrize("relation", [None, *RELATIONS])
def test_places_are_where_the_drawing_puts_the_things(relation: str | None) -> None:
    scene = Scene("black", (RED, BLUE) if relation else (RED,), relation)
    rng = random.Random(0)
    for _ in range(20):
        for name, (x, y, _radius) in zip(BY_RELATION[relation], place(scene, rng), strict=True):
            across = {"left": x < 24, "right": x > 40, "top": y < 24, "bottom": y > 40}
            assert across.get(name, 24 <= x <= 40 and 24 <= y <= 40)


def test_a_caption_and_its_inverse_have_the_same_answers() -> None:
    for relation in RELATIONS:
        scene = Scene("gray", (RED, BLUE), relation)
        assert answers(scene, scene.caption()) == answers(scene.inverse(), scene.inverse().caption())


def test_what_a_caption_does_not_say_is_unsaid() -> None:
    scene = Scene("white", (RED, BLUE), "above")
    colors, shapes, background = answers_in_words(scene, scene.caption(background=False))
    assert (colors["top"], shapes["top"], colors["bottom"], shapes["bottom"]) == ("red", "circle", "blue", "square")
    assert colors["left"] == "nothing"
    assert background == "unsaid"
    assert answers_in_words(scene, scene.caption())[2] == "white"
    colors, shapes, background = answers_in_words(scene, "")
    assert {*colors.values(), *shapes.values(), background} == {"unsaid"}


def test_some_captions_are_empty_and_some_do_not_name_the_background() -> None:
    rng = random.Random(1)
    prompts = list(captions([random_scene(rng, TRAINED) for _ in range(2000)], rng))
    assert 0.07 < prompts.count("") / len(prompts) < 0.13
    assert 0.20 < sum("background" not in caption for caption in prompts if caption) / len(prompts) < 0.28


def test_padding_fills_the_positions_that_are_asked() -> None:
    longest = Scene("black", (Thing("orange", "diamond"), Thing("orange", "triangle")), "left of").caption()
    for encoder in TEXT_ENCODERS.values():
        assert len(encoder.tokenizer()(longest).input_ids) <= TOKENS - ANSWERS


def trained(folder: Path, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Colours after some steps, as probabilities (scenes, places, classes); and the places asked (scenes, places)."""
    train_text_encoder(folder, name, steps=150, batch=32, seed=0, show=silent)
    reader = Reader(name)
    reader.load_state_dict(torch.load(folder / f"reader-{name}.pt", weights_only=True)["module"])
    encoder, scenes = TEXT_ENCODERS[name], [Scene("black", (RED, BLUE), relation) for relation in RELATIONS]
    prompts = [scene.caption() for scene in scenes]
    asked = torch.tensor([positions(*each, causal=encoder.causal) for each in zip(scenes, prompts, strict=True)])
    with torch.no_grad():
        states = reader(encoder.ids(prompts), asked)
    assert unmarked(states.tokens, asked) < 0.7 * MARK**2 / ANSWERS
    return reader.scores(states)[0][0].softmax(-1), asked[:, COLOR] >= 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["clip", "clip-l", "clip-g"])
def test_clip_learns_which_places_are_empty(name: str, tmp_path: Path) -> None:
    """This depends on the relation, so no constant answer is right."""
    shares, asked = trained(tmp_path, name)
    assert asked.all()
    empty = shares[..., CLASSES[0].index("nothing")]
    left, top = PLACES.index("left"), PLACES.index("top")
    assert empty[:2, left].max() < 0.5 < empty[2:, left].min()
    assert empty[2:, top].max() < 0.5 < empty[:2, top].min()


@pytest.mark.slow
def test_t5_learns_what_the_words_say(tmp_path: Path) -> None:
    shares, asked = trained(tmp_path, "t5")
    assert asked.sum(dim=1).tolist() == [2] * len(RELATIONS)
    for colors, at, relation in zip(shares.argmax(-1), asked, RELATIONS, strict=True):
        for where, color in zip(BY_RELATION[relation], ("red", "blue"), strict=True):
            assert at[PLACES.index(where)]
            assert CLASSES[0][int(colors[PLACES.index(where)])] == color


def test_an_encoder_that_is_not_causal_is_asked_at_the_words() -> None:
    scene = Scene("white", (RED, BLUE), "right of")
    words = scene.caption().split()
    background, *asked = positions(scene, scene.caption(), causal=False)
    colors, shapes = (dict(zip(PLACES, each, strict=True)) for each in (asked[: len(PLACES)], asked[len(PLACES) :]))
    assert [words[colors["left"]], words[shapes["left"]]] == ["blue", "square"]
    assert [words[colors["right"]], words[shapes["right"]]] == ["red", "circle"]
    assert [colors[each] for each in ("middle", "top", "bottom")] == [-1, -1, -1]
    assert words[background] == "white"
    assert set(positions(scene, "", causal=False)) == {-1}


def test_a_partly_named_thing_is_asked_at_its_own_word() -> None:
    scene = Scene("gray", (Thing("red", ""), Thing("red", "ring")), "above")
    caption = scene.caption(background=False)
    assert caption == "a red above a red ring"
    found = positions(scene, caption, causal=False)
    top, bottom = 1 + PLACES.index("top"), 1 + PLACES.index("bottom")
    assert (found[top], found[top + len(PLACES)]) == (1, -1)
    assert (found[bottom], found[bottom + len(PLACES)]) == (4, 5)
    assert found[0] == -1
    colors, shapes, _ = answers_in_words(scene, caption)
    assert (colors["top"], shapes["top"], shapes["bottom"]) == ("red", "unsaid", "ring")


def test_some_things_are_partly_named_and_none_has_no_name() -> None:
    rng = random.Random(2)
    things = [thing for _ in range(2000) for thing in partly_named(Scene("gray", (RED,)), rng).things]
    for missing in (Thing("", "circle"), Thing("red", "")):
        assert PARTLY_NAMED / 2 - 0.03 < things.count(missing) / len(things) < PARTLY_NAMED / 2 + 0.03
    assert set(things) == {RED, Thing("", "circle"), Thing("red", "")}


@pytest.mark.parametrize("name", ["clip", "t5"])
def test_a_word_is_one_token(name: str) -> None:
    """T5's positions are counted in words."""
    scene = Scene("gray", (Thing("orange", "diamond"), Thing("cyan", "cross")), "below")
    ids = TEXT_ENCODERS[name].tokenizer()(scene.caption(), add_special_tokens=False).input_ids
    assert len(ids) == len(scene.caption().split())


@pytest.mark.parametrize(("name", "ways"), [("clip", 1), ("clip-l", 2), ("t5", 1)])
def test_scores_have_a_class_for_each_answer(name: str, ways: int) -> None:
    """At the positions and, for a CLIP with a projection, by the pooled state."""
    reader = Reader(name)
    asked = torch.tensor([[-1, 1, *[-1] * (ASKED - 2)], [-1] * ASKED])
    scores = reader.scores(reader(TEXT_ENCODERS[name].ids(["a red circle", ""]), asked))
    assert len(scores) == ways
    for colors, shapes, background in scores:
        assert colors.shape == (2, len(PLACES), len(COLORS) + 2)
        assert shapes.shape == (2, len(PLACES), len(SHAPES) + 2)
        assert background.shape == (2, 1, len(BACKGROUNDS) + 2)


def test_too_much_certainty_costs() -> None:
    """So that a text encoder gains nothing from knowing which pairs never occur."""
    right = [torch.zeros(1, len(PLACES), dtype=torch.long)] * 2 + [torch.zeros(1, 1, dtype=torch.long)]
    shapes = [(1, each.shape[1], len(known)) for each, known in zip(right, CLASSES, strict=True)]
    asked = torch.zeros(1, ASKED, dtype=torch.long)

    def loss(sure: float) -> float:
        scores = [torch.zeros(shape) for shape in shapes]
        for each in scores:
            each[..., 0] = sure
        return float(answer_loss([scores], right, asked))

    assert loss(4.0) < loss(0.0)
    assert loss(4.0) < loss(20.0)
