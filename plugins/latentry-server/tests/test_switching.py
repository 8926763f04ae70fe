"""Models that are switched and dropped while jobs draw with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from support.serving import Running, until

BODY: dict[str, Any] = {"prompt": "a", "seed": 7, "width": 64, "height": 64, "sampler_name": "Euler"}
SEVERAL = {**BODY, "n_iter": 6, "steps": 150}


def drawn(server: Running, body: dict[str, Any]) -> tuple[str, list[str]]:
    """The model that drew, and the pictures."""
    answer = server.ask("POST", "/sdapi/v1/txt2img", json=body)
    assert answer.status_code == 200, answer.text
    return json.loads(answer.json()["info"])["sd_model_name"], answer.json()["images"]


def switch(server: Running, model: str) -> None:
    assert server.ask("POST", "/sdapi/v1/options", json={"sd_model_checkpoint": model}).status_code == 200


def until_drawing(server: Running) -> None:
    """Waits for a job in the middle of its steps."""
    until(
        lambda: any(record.state == "running" and record.step > 3 for record in server.service.records),
        "a job past its third step",
    )


def test_a_job_ends_with_the_model_that_it_began_with(start: Callable[..., Running]) -> None:
    server = start()
    alone = drawn(server, SEVERAL)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(drawn, server, SEVERAL)
        until_drawing(server)
        switch(server, "toy-flow")
        name, (picture,) = drawn(server, {**BODY, "steps": 3})
        assert not running.done()
        assert name == "toy-flow"
        assert running.result() == alone
    assert alone[0] == "toy"
    assert server.ask("GET", "/sdapi/v1/options").json()["sd_model_checkpoint"] == "toy-flow"
    switch(server, "toy")
    assert drawn(server, {**BODY, "steps": 3})[1] != [picture]


def test_a_model_that_is_dropped_stays_for_those_that_draw_with_it(start: Callable[..., Running]) -> None:
    server = start()
    alone = drawn(server, SEVERAL)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(drawn, server, SEVERAL)
        until_drawing(server)
        assert server.ask("POST", "/sdapi/v1/unload-checkpoint").status_code == 200
        assert server.ask("GET", "/sdapi/v1/memory").json()["models"] == []
        assert not running.done()
        assert running.result() == alone
    assert drawn(server, SEVERAL) == alone


def test_what_is_not_offered_changes_nothing(start: Callable[..., Running]) -> None:
    server = start()
    refused = server.ask("POST", "/sdapi/v1/options", json={"sd_model_checkpoint": "broken"})
    assert refused.status_code == 422, refused.text
    assert drawn(server, {**BODY, "steps": 3})[0] == "toy"
