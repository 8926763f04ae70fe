"""Several threads and one engine."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import torch
from support.toy import write_toy

from latentry import Engine, GenerationRequest, PluginHost, ProgressEvent
from latentry._generate._kept._shared_setting import SharedSetting

THREADS = 8


def request(model: str, number: int) -> GenerationRequest:
    """Eight requests that have little in common."""
    scheduler = ("first", "noisy", "two-stage", "halving")[number % 4]
    attention = ("native", "able")[number // 4]
    prompt = ("a", "b", "a longer one")[number % 3]
    return GenerationRequest(
        prompt=prompt, model=model, seed=number, steps=4 + number, scheduler=scheduler, attention=attention, count=2
    )


def test_eight_threads_get_what_each_gets_alone(host: PluginHost, model: str) -> None:
    wanted = [request(model, number) for number in range(THREADS)]
    alone = [Engine(host).generate(each).latents for each in wanted]
    engine, together = Engine(host), Barrier(THREADS)

    def draw(each: GenerationRequest) -> torch.Tensor:
        together.wait(timeout=60)
        return engine.generate(each).latents

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(draw, wanted))
    assert all(torch.equal(a, b) for a, b in zip(found, alone, strict=True))


def test_a_model_is_loaded_once_for_all_threads(host: PluginHost, model: str) -> None:
    engine, together = Engine(host), Barrier(THREADS)

    def load(number: int) -> Any:
        setup = engine.prepare(request(model, number))
        together.wait(timeout=60)
        return engine.load(setup)

    with ThreadPoolExecutor(THREADS) as pool:
        assert len({id(loaded) for loaded in pool.map(load, range(THREADS))}) == 1


def test_requests_with_the_same_attention_run_at_the_same_time(engine: Engine, model: str) -> None:
    """Each waits for the other in the middle of its sampling."""
    both = Barrier(2)

    def meet(event: ProgressEvent) -> None:
        if event.stage == "sample" and event.done == 2:
            both.wait(timeout=60)

    wanted = request(model, 0)
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda each: engine.generate(each, progress=meet), [wanted, wanted]))
    assert torch.equal(results[0].latents, results[1].latents)


class Recorded:
    """Settings that were entered and left, and who was inside."""

    def __init__(self) -> None:
        self.events: list[str] = []

    @contextmanager
    def setting(self, name: str) -> Iterator[str]:
        self.events.append(f"+{name}")
        yield name
        self.events.append(f"-{name}")


def test_a_setting_is_shared_and_another_waits() -> None:
    shared: SharedSetting[str] = SharedSetting()
    recorded, inside = Recorded(), Barrier(3)

    def take(name: str) -> None:
        with shared.hold(name, lambda: recorded.setting(name)) as held:
            assert held == name
            if name == "one":
                inside.wait(timeout=60)
            recorded.events.append(name)

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(take, ["one", "one", "one", "other", "other"]))
    at = recorded.events.index("-one")
    assert recorded.events.count("+one") == 1
    assert recorded.events[:at].count("one") == 3 or recorded.events[0] == "+other"
    for name in ("one", "other"):
        entered, left = recorded.events.index(f"+{name}"), recorded.events.index(f"-{name}")
        assert set(recorded.events[entered + 1 : left]) == {name}


@pytest.mark.parametrize("fails", ["inside", "entering"])
def test_a_setting_is_released_after_an_exception(fails: str) -> None:
    shared: SharedSetting[str] = SharedSetting()
    recorded = Recorded()

    @contextmanager
    def broken() -> Iterator[str]:
        raise RuntimeError
        yield

    with (
        pytest.raises(RuntimeError),
        shared.hold("one", broken if fails == "entering" else lambda: recorded.setting("one")),
    ):
        raise RuntimeError
    with shared.hold("other", lambda: recorded.setting("other")):
        pass
    assert recorded.events[-2:] == ["+other", "-other"]


def test_a_cancelled_request_releases_the_model(host: PluginHost, tmp_path: Path) -> None:
    engine, model = Engine(host), str(write_toy(tmp_path / "model"))

    def cancel(event: ProgressEvent) -> None:
        if event.stage == "sample":
            raise InterruptedError

    with pytest.raises(InterruptedError):
        engine.generate(request(model, 0), progress=cancel)
    assert len(engine.generate(request(model, 4)).images) == 2
