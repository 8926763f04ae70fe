"""One setting of LoRAs at a time, each for the length of a block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from threading import Thread

import pytest

from latentry.models import LoraState


class Layers:
    """What is set at present, in the order in which it was made; a setting that names ``broken`` fails there."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def change(self, setting: tuple[str, ...]) -> Iterator[Callable[[], None]]:
        for name in setting:
            if name == "broken":
                raise ValueError(name)
            self.made.append(name)
            yield partial(self.made.remove, name)


@pytest.fixture
def state() -> LoraState[tuple[str, ...], float]:
    return LoraState(())


def test_blocks_put_back_what_was_set_before(state: LoraState[tuple[str, ...], float]) -> None:
    layers = Layers()
    with state.set(("a", "b"), layers.change):
        with state.set(("c",), layers.change):
            assert layers.made == ["c"]
        assert layers.made == ["a", "b"]
    assert layers.made == []


def test_a_change_that_fails_leaves_what_was_set(state: LoraState[tuple[str, ...], float]) -> None:
    layers = Layers()
    with state.set(("a",), layers.change):
        with pytest.raises(ValueError, match="broken"):
            state.set(("c", "broken", "d"), layers.change)
        assert layers.made == ["a"]
    assert layers.made == []


def test_weights_are_of_the_block_and_the_thread(state: LoraState[tuple[str, ...], float]) -> None:
    elsewhere: list[float | None] = []
    with state.weighing(0.5):
        with pytest.raises(ZeroDivisionError), state.weighing(0.25):
            assert state.weights == 0.25
            raise ZeroDivisionError
        assert state.weights == 0.5
        thread = Thread(target=lambda: elsewhere.append(state.weights))
        thread.start()
        thread.join()
    assert elsewhere == [None]
    assert state.weights is None
