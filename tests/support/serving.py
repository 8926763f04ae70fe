"""A server in a thread, on a free port, that draws with a toy and every installed scheduler."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from latentry import Engine, PluginHost, Policy
from latentry.batches import ServedEngine
from latentry_server import Settings, create_app
from latentry_server.service import Service


@dataclass(frozen=True)
class Running:
    """A server that answers.

    Attributes:
        url: its address.
        service: behind it.
        models: the folder that it offers.
    """

    url: str
    service: Service
    models: Path

    @property
    def port(self) -> int:
        """Its port."""
        return int(self.url.rpartition(":")[2])

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request."""
        return httpx.request(method, self.url + path, timeout=60.0, **more)

    def job(self, **fields: Any) -> dict[str, Any]:
        """A job that was taken."""
        answer = self.ask(
            "POST", "/latentry/v1/jobs", json={"request": {"prompt": "a", "steps": 3, "seed": 1} | fields}
        )
        assert answer.status_code == 202, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def events(self, job: str) -> list[dict[str, Any]]:
        """All events of a job."""
        return list(self.each_event(job))

    def each_event(self, job: str) -> Iterator[dict[str, Any]]:
        """The events of a job as they come."""
        with httpx.stream("GET", f"{self.url}/latentry/v1/jobs/{job}/events", timeout=60.0) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))


SOON = 60.0
"""Seconds for what comes at once where the machine is idle."""


def until(ready: Callable[[], bool], what: str) -> None:
    """Waits for something that comes soon, and fails by its name."""
    end = time.monotonic() + SOON
    while not ready():
        assert time.monotonic() < end, f"waited {SOON:.0f} s for {what}"
        time.sleep(0.02)


@contextmanager
def running(models: Path, host: PluginHost, **settings: Any) -> Iterator[Running]:
    """A server with these settings."""
    policy = settings.pop("policy", replace(Policy.network(), roots=(models,)))
    with serving(models, Engine(host, policy=policy), **settings) as found:
        yield found


@contextmanager
def serving(models: Path, engine: ServedEngine, **settings: Any) -> Iterator[Running]:
    """A server around an engine."""
    app = create_app(engine, Settings(engine.policy, model="toy", **settings))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            thread.join(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Running(f"http://127.0.0.1:{port}", app.state.service, models)
    finally:
        server.should_exit = True
        thread.join()
