"""Emphasis in prompts."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from latentry.models import parse_emphasis

UP, DOWN = 1.1, 1 / 1.1


@pytest.mark.parametrize(
    ("prompt", "pieces"),
    [
        ("", ()),
        ("a cat", (("a cat", 1.0),)),
        ("a (red:1.3) cat", (("a ", 1.0), ("red", 1.3), (" cat", 1.0))),
        ("(a)", (("a", UP),)),
        ("[a]", (("a", DOWN),)),
        ("((a))", (("a", UP * UP),)),
        ("(a [b])", (("a ", UP), ("b", DOWN * UP))),
        ("([a])", (("a", DOWN * UP),)),
        ("(a (b:2) c:3)", (("a ", 3.0), ("b", 6.0), (" c", 3.0))),
        ("(a (b):1.5)", (("a ", 1.5), ("b", UP * 1.5))),
        ("(a:-0.5)", (("a", -0.5),)),
        ("(a: .5 )", (("a", 0.5),)),
        ("(a:0)", (("a", 0.0),)),
        ("(ratio 16:9:1.2)", (("ratio 16:9", 1.2),)),
        ("(a:b)", (("a:b", UP),)),
        ("[a:1.3]", (("a:1.3", DOWN),)),
        ("(a [b:2])", (("a ", UP), ("b:2", DOWN * UP))),
        ("a:1.3", (("a:1.3", 1.0),)),
        (r"\(a\) \[b\] \\", ((r"(a) [b] " + "\\", 1.0),)),
        (r"(a\):1.3)", (("a)", 1.3),)),
        (r"a \n b\ ", ((r"a \n b\ ", 1.0),)),
        ("(a", (("(a", 1.0),)),
        ("a)", (("a)", 1.0),)),
        ("(a]", (("(a]", 1.0),)),
        ("([a)]", (("(", 1.0), ("a)", DOWN))),
        (":-) (b)", ((":-) ", 1.0), ("b", UP))),
        ("()", ()),
        ("(:1.2)", ()),
        ("(a)(b)", (("ab", UP),)),
        ("ü 紅 (雪:1.2)\n", (("ü 紅 ", 1.0), ("雪", 1.2), ("\n", 1.0))),
    ],
)
def test_a_prompt_has_these_pieces(prompt: str, pieces: tuple[tuple[str, float], ...]) -> None:
    found = parse_emphasis(prompt)
    assert [text for text, _ in found] == [text for text, _ in pieces]
    assert [weight for _, weight in found] == pytest.approx([weight for _, weight in pieces])


def test_no_text_is_refused_and_none_is_lost() -> None:
    """All that goes are brackets, backslashes and what reads as a weight; neighbours differ in weight."""
    rng = random.Random(3)
    for _ in range(500):
        prompt = "".join(rng.choices(["a", "b ", "(", ")", "[", "]", ":", "1.2", "\\", "\\("], k=rng.randrange(14)))
        pieces = parse_emphasis(prompt)
        letters = [c for text, _ in pieces for c in text if c in "ab"]
        assert letters == [c for c in prompt if c in "ab"]
        assert all(text for text, _ in pieces)
        weights = [weight for _, weight in pieces]
        assert all(x != y for x, y in pairwise(weights))


def test_deep_brackets_are_read() -> None:
    deep = 5000
    ((text, weight),) = parse_emphasis("(" * 20 + "a" + ")" * 20)
    assert (text, weight) == ("a", pytest.approx(UP**20))
    assert parse_emphasis("(" * deep) == (("(" * deep, 1.0),)
