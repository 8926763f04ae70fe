"""Clients that leave before their answer has come, in every way that a connection can end."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.types import Message
from support.serving import SOON, Running, until

from latentry_server.waiting import event_stream

LONG = {"steps": 150, "count": 16, "batch": 1}
"""A job that goes on for longer than a test."""
WHOLE = {"steps": 150, "count": 3, "batch": 1}
"""A job that goes on for a while, and ends."""
PATHS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": ("/v1/images/generations", {"prompt": "a", "latentry": LONG}),
    "openai, streaming": (
        "/v1/images/generations",
        {"prompt": "a", "stream": True, "partial_images": 3, "latentry": LONG},
    ),
    "automatic1111": ("/sdapi/v1/txt2img", {"prompt": "a", "n_iter": 16, "steps": 150, "width": 64, "height": 64}),
}


def close(connection: socket.socket) -> None:
    """As a program that ends does."""
    connection.close()


def reset(connection: socket.socket) -> None:
    """As a machine does that was switched off and on, or a proxy."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def half_close(connection: socket.socket) -> None:
    """Says that nothing more will be sent, and waits for the end."""
    connection.shutdown(socket.SHUT_WR)
    connection.settimeout(SOON)
    while connection.recv(65536):
        pass


LEAVING = pytest.mark.parametrize("leave", [close, reset, half_close], ids=lambda leave: leave.__name__)


@contextmanager
def asked(server: Running, method: str, path: str, body: Any = None) -> Iterator[socket.socket]:
    """A connection on which a request was sent."""
    with socket.create_connection(("127.0.0.1", server.port), SOON) as connection:
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        yield connection


def states(server: Running) -> list[str]:
    """Of the jobs, the oldest first."""
    return [record.state for record in server.service.records]


def assert_idle(server: Running) -> None:
    """Nothing is left of those who left, and the next one is served."""
    until(lambda: not any(record.live for record in server.service.records), "no live job")
    until(lambda: not server.service._following, "nobody who follows a job")
    assert server.service.metrics.live._value.get() == 0
    until(lambda: not any(record._changed._waiters for record in server.service.records), "nobody who waits for events")
    until(lambda: not any(resident.used for resident in server.service.loaded()), "no model in use")
    assert server.events(server.job()["id"])[-1]["state"] == "done"


@LEAVING
@pytest.mark.parametrize("way", PATHS)
def test_a_job_ends_with_the_client_that_waits_for_it(
    start: Callable[..., Running], way: str, leave: Callable[[socket.socket], None]
) -> None:
    server = start()
    with asked(server, "POST", *PATHS[way]) as connection:
        until(lambda: states(server) == ["running"] and server.service.records[0].step > 3, "a job past its third step")
        leave(connection)
    until(lambda: states(server) == ["cancelled"], "the end of the job")
    assert_idle(server)


@LEAVING
@pytest.mark.parametrize("way", PATHS)
def test_a_job_ends_with_a_client_that_left_before_it_began(
    start: Callable[..., Running], way: str, leave: Callable[[socket.socket], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start()
    prepare, left = server.service.engine.prepare, list[bool]()

    def slow(*args: Any, **given: Any) -> Any:
        until(lambda: bool(left), "a client that leaves")
        time.sleep(0.2)  # the server has seen it
        return prepare(*args, **given)

    with monkeypatch.context() as patched:
        patched.setattr(server.service.engine, "prepare", slow)
        with asked(server, "POST", *PATHS[way]) as connection:
            time.sleep(0.1)
            left.append(True)
            leave(connection)
        until(lambda: states(server) == ["cancelled"], "the end of the job")
    assert_idle(server)


@LEAVING
def test_a_job_of_its_own_goes_on_when_nobody_looks(
    start: Callable[..., Running], leave: Callable[[socket.socket], None]
) -> None:
    server = start()
    job = server.job(**WHOLE)
    with asked(server, "GET", f"/latentry/v1/jobs/{job['id']}/events") as connection:
        told = b""
        while b'"step"' not in told:
            told += connection.recv(4096)
        leave(connection)
    assert server.events(job["id"])[-1]["state"] == "done"
    assert server.service.record(job["id"]).pictures.keys() == {0, 1, 2}
    assert_idle(server)


def test_a_reader_may_leave_while_it_is_sent_something() -> None:
    """One that reads no more: the server waits in the middle of a line when it hears of the end."""

    class Job:
        cancelled = False

        def cancel(self) -> None:
            self.cancelled = True

    closed = []

    async def lines() -> AsyncGenerator[str]:
        try:
            while True:
                yield "data: 1\n\n"
        finally:
            closed.append(True)

    async def answered(record: Any) -> bool:
        stuck = asyncio.Event()

        async def receive() -> Message:
            await stuck.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body":
                stuck.set()
                await asyncio.Event().wait()

        scope = {"type": "http", "asgi": {"spec_version": "2.3"}}
        await asyncio.wait_for(event_stream(lines(), record)(scope, receive, send), SOON)
        return bool(record.job.cancelled and closed)  # now, and not when the loop ends

    assert asyncio.run(answered(SimpleNamespace(job=Job())))


def test_others_go_on(start: Callable[..., Running]) -> None:
    """Of jobs that share passes, one goes."""
    server = start()
    other = server.job(**WHOLE)
    with asked(server, "POST", *PATHS["automatic1111"]):
        until(lambda: states(server) == ["running", "running"], "two jobs that run")
    until(lambda: states(server)[1] == "cancelled", "the end of the one job")
    assert server.events(other["id"])[-1]["state"] == "done"
    assert_idle(server)


@pytest.mark.parametrize("way", PATHS)
def test_one_that_waits_in_the_queue_frees_its_place(
    start: Callable[..., Running], way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start(queue=2)
    engine: Any = server.service.engine
    monkeypatch.setattr(engine._queue, "_most", 1)
    first = server.job(**LONG)
    until(lambda: states(server) == ["running"], "the first job")
    with asked(server, "POST", *PATHS[way]):
        until(lambda: states(server) == ["running", "queued"], "a job that waits")
        assert server.ask("POST", "/latentry/v1/jobs", json={"request": {"prompt": "a"}}).status_code == 429
    until(lambda: states(server) == ["running", "cancelled"], "the end of the job that waits")
    server.job()
    assert states(server) == ["running", "cancelled", "queued"]
    assert server.ask("DELETE", f"/latentry/v1/jobs/{first['id']}").status_code == 200
    assert_idle(server)


def test_a_request_that_breaks_off_is_none(start: Callable[..., Running], caplog: pytest.LogCaptureFixture) -> None:
    server = start()
    with socket.create_connection(("127.0.0.1", server.port), SOON) as connection:
        head = "POST /v1/images/generations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        connection.sendall(f'{head}Content-Length: 1000\r\n\r\n{{"prompt": '.encode())
        time.sleep(0.1)
    assert_idle(server)
    assert len(server.service.records) == 1
    assert not [record for record in caplog.records if record.exc_info]
