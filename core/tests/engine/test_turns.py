"""Whose turn it is: the order of jobs, and the line before a model's settings."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Thread

import pytest

from latentry._generate._kept._shared_setting import SharedSetting
from latentry._jobs._queue import MINUTE, PATIENCE, Due, JobQueue

LONG = 60.0


def test_jobs_are_taken_by_priority_then_deadline_then_arrival() -> None:
    queue, order = JobQueue(live=1), list[str]()
    begun, go, done = Event(), Event(), Event()

    def first() -> None:
        begun.set()
        assert go.wait(LONG)

    queue.put(queue.due(), first)
    assert begun.wait(LONG)
    for name, priority, deadline in (
        ("patient", -1, None),
        ("one", 0, None),
        ("two", 0, None),
        ("soon", 0, 5.0),
        ("sooner", 0, 1.0),
        ("important", 11, None),
    ):
        queue.put(queue.due(priority, deadline), lambda name=name: order.append(name))  # type: ignore[misc]
    queue.put(queue.due(-5), done.set)
    go.set()
    assert done.wait(LONG)
    assert order == ["important", "sooner", "soon", "one", "two", "patient"]


def test_everybody_becomes_due() -> None:
    """However many jobs with priority or a deadline come, those that come late enough are due later."""
    queue = JobQueue()
    waits, urgent = queue.due(-3), queue.due(5, 0.0)
    assert urgent < waits
    later = Due(urgent.at + PATIENCE + 8 * MINUTE + 1, 10)
    assert later > waits


def test_a_queue_without_work_has_no_threads() -> None:
    queue, done = JobQueue(live=3), [Event() for _ in range(9)]
    for each in done:
        queue.put(queue.due(), each.set)
    assert all(each.wait(LONG) for each in done)
    for _ in range(1000):
        if not queue._threads:
            return
        Event().wait(0.01)
    raise AssertionError("threads are left")


class Held:
    """A setting that notes who was in."""

    def __init__(self) -> None:
        self.shared: SharedSetting[str] = SharedSetting()
        self.order: list[str] = []

    @contextmanager
    def setting(self, name: str) -> Iterator[str]:
        self.order.append(name)
        yield name

    @contextmanager
    def hold(self, name: str, due: float) -> Iterator[str]:
        with self.shared.hold(name, lambda: self.setting(name), due=due) as held:
            yield held


def test_one_who_wants_another_setting_waits_for_those_ahead_alone() -> None:
    """Of 40 that come after it with the setting that is on, none is let in before it."""
    held, inside, ended = Held(), Event(), list[str]()

    def take(name: str, due: float) -> None:
        with held.hold(name, due):
            ended.append(name)

    with held.hold("one", 0.0):
        threads = [Thread(target=take, args=("other", 1.0))]
        threads += [Thread(target=take, args=("one", 2.0 + i)) for i in range(40)]
        for thread in threads:
            thread.start()
            inside.wait(0.001)
    for thread in threads:
        thread.join(LONG)
    assert ended == ["other", *["one"] * 40]
    assert held.order[:3] == ["one", "other", "one"]


def test_one_who_leaves_the_line_lets_the_others_in() -> None:
    held, gone = Held(), RuntimeError("left")

    def leave(turn: Event) -> None:
        raise gone

    with held.hold("one", 0.0), pytest.raises(RuntimeError, match="left"):  # noqa: SIM117
        with ThreadPoolExecutor(1) as pool:
            pool.submit(
                lambda: held.shared.hold("other", lambda: held.setting("other"), due=1.0, wait=leave).__enter__()
            ).result(LONG)
    with ThreadPoolExecutor(1) as pool, held.hold("one", 2.0):
        assert pool.submit(lambda: held.hold("one", 3.0).__enter__()).result(LONG) == "one"


def test_no_order_of_coming_and_going_stops_the_line() -> None:
    drawn = random.Random(0)
    held = Held()

    def take(number: int) -> None:
        for _ in range(30):
            with held.hold(drawn.choice("abc"), drawn.random()) as name:
                assert name == held.order[-1]

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(take, range(12)))
