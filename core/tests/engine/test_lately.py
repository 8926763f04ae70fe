"""What was found lately is found once, as long as what it depends on is equal."""

from __future__ import annotations

from latentry._resolve._lately import Lately


def test_a_value_is_found_once_for_equals_and_anew_for_others_of_the_same_key() -> None:
    lately = Lately[int]()
    found: list[int] = []

    def find() -> int:
        found.append(len(found))
        return found[-1]

    assert [lately("key", of, find) for of in ([1.0], [1.0], [2.0], [2.0], [1.0])] == [0, 0, 1, 1, 2]
    assert lately("other", [1.0], find) == 3
