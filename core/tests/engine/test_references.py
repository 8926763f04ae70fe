"""Pictures that a network is shown beside the prompt, and a time shift that depends on the steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.toy import write_toy

from latentry import Engine, GenerationRequest, IncompatibleError, OptionError, RecipeError
from latentry.models import ShiftsBySteps


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[str, ...]:
    """A wide red one and a small one with a transparent half."""
    Image.new("RGB", (40, 24), "red").save(tmp_path / "a.png")
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(tmp_path / "b.png")
    return str(tmp_path / "a.png"), str(tmp_path / "b.png")


@pytest.fixture
def model(tmp_path: Path) -> str:
    """Of a variant that is shown up to two."""
    return str(write_toy(tmp_path / "model", variants=["shown"]))


def ask(engine: Engine, model: str, *references: str) -> Any:
    return engine.prepare(GenerationRequest(prompt="a", model=model, references=references))


def test_they_reach_the_prompts_settings_at_their_own_size(
    engine: Engine, model: str, pictures: tuple[str, ...]
) -> None:
    setup = ask(engine, model, *pictures)
    for negative in (False, True):
        red, white = setup.prompt_settings(negative=negative).references
        assert (red.picture.size, red.picture.getpixel((0, 0))) == ((40, 24), (255, 0, 0))
        assert (white.picture.mode, white.picture.getpixel((0, 0))) == ("RGB", (255, 255, 255))
    assert setup.size == (32, 32)
    assert ask(engine, model).prompt_settings(negative=False).references == ()


def test_settings_are_equal_for_equal_pixels(
    engine: Engine, model: str, pictures: tuple[str, ...], tmp_path: Path
) -> None:
    """Encoded prompts are kept by their settings."""
    Image.open(pictures[0]).save(tmp_path / "same.bmp")
    one, same, other = (
        ask(engine, model, file).prompt_settings(negative=False)
        for file in (pictures[0], str(tmp_path / "same.bmp"), pictures[1])
    )
    assert (one == same, hash(one) == hash(same), one == other) == (True, True, False)


def test_the_recipe_names_them_and_knows_their_pixels(engine: Engine, model: str, pictures: tuple[str, ...]) -> None:
    setup = ask(engine, model, *pictures)
    assert setup.request.references == pictures
    digests = [each.digest for each in setup.prompt_settings(negative=False).references]
    assert setup.inputs.digests == {"references.0": digests[0], "references.1": digests[1]}


def test_a_changed_file_is_another_picture(engine: Engine, model: str, pictures: tuple[str, ...]) -> None:
    request = GenerationRequest(prompt="a", model=model, references=pictures[:1], seed=1)
    found = engine.generate(request)
    again = engine.reproduce(found.recipes[0])
    assert again.images[0].tobytes() == found.images[0].tobytes()
    Image.new("RGB", (40, 24), "blue").save(pictures[0])
    with pytest.raises(RecipeError, match=r"references\.0 is not the one that the picture started from"):
        engine.reproduce(found.recipes[0])


@pytest.mark.parametrize(("variant", "count", "why"), [("small", 1, "takes none"), ("shown", 3, "up to 2")])
def test_more_than_the_variant_takes_are_refused(
    engine: Engine, tmp_path: Path, pictures: tuple[str, ...], variant: str, count: int, why: str
) -> None:
    model = str(write_toy(tmp_path / "other", variants=[variant]))
    with pytest.raises(IncompatibleError, match="cannot be shown") as caught:
        ask(engine, model, *(pictures * 2)[:count])
    assert why in caught.value.why
    assert caught.value.field == "references"


def test_a_file_that_is_missing_is_one_clear_error(engine: Engine, model: str) -> None:
    with pytest.raises(OptionError, match=r"There is no file absent\.png") as caught:
        ask(engine, model, "absent.png")
    assert caught.value.field == "references"


@pytest.mark.parametrize(("steps", "strength"), [(3, None), (8, None), (8, 0.5)])
def test_a_shift_is_asked_for_the_steps_that_are_laid_out(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int, strength: float | None
) -> None:
    """A picture to begin from takes a part of them; the grid is the same."""
    flow = str(write_toy(tmp_path / "flow", kind="flow", shift=1.0))
    checkpoint = engine.prepare(GenerationRequest(prompt="a", model=flow)).checkpoint
    assert not isinstance(checkpoint, ShiftsBySteps)
    monkeypatch.setattr(type(checkpoint), "shift_for", lambda self, w, h, n: w + h + n, raising=False)
    picture = None if strength is None else Image.new("RGB", (32, 32))
    request = GenerationRequest(prompt="a", model=flow, steps=steps, strength=strength)
    assert engine.prepare(request, init_image=picture).request.sigma_options["shift"] == 64 + steps
    own = request.model_copy(update={"sigma_options": {"shift": 2.0}})
    assert engine.prepare(own, init_image=picture).request.sigma_options["shift"] == 2.0
