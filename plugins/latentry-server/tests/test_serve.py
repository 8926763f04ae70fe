"""``latentry serve``: the command, and a server in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from support.toy import PLUGIN, write_toy

from latentry.testing import CommandSuite
from latentry_server.command import serve


class TestServe(CommandSuite):
    command = "serve"


def test_folders_are_those_of_where_it_was_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An executor's engines run in folders of their own."""
    (tmp_path / "learnt").mkdir()
    monkeypatch.chdir(tmp_path)
    assert serve.make_context("serve", ["--models", "learnt"]).params["roots"] == (tmp_path / "learnt",)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a signal ends it")
def test_a_server_is_started_draws_and_ends_on_a_signal(tmp_path: Path) -> None:
    write_toy(tmp_path / "models" / "toy")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--port", str(port), "--models", str(tmp_path / "models"), "--model", "toy", "--max-steps", "5"]
    command = [sys.executable, "-m", "latentry", "serve", *options, "--plugin-dir", str(PLUGIN)]
    environment = {**os.environ, "LATENTRY_KEYS": "secret", "PYTHONPATH": str(PLUGIN.parents[2])}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, cwd=tmp_path) as server:
        try:
            url, headers = f"http://127.0.0.1:{port}", {"Authorization": "Bearer secret"}
            while True:
                try:
                    httpx.get(f"{url}/health")
                    break
                except httpx.TransportError:
                    assert server.poll() is None
                    time.sleep(0.1)
            assert httpx.get(f"{url}/latentry/v1/models").status_code == 401
            body = {"prompt": "a", "latentry": {"steps": 3}}
            drawn = httpx.post(f"{url}/v1/images/generations", json=body, headers=headers, timeout=60)
            assert len(drawn.json()["data"]) == 1
            body["latentry"] = {"steps": 6}
            refused = httpx.post(f"{url}/v1/images/generations", json=body, headers=headers, timeout=60)
            assert refused.status_code == 403
        finally:
            server.send_signal(signal.SIGINT)
            _, said = server.communicate(timeout=60)
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert {"request", "job ended"} <= {line["event"] for line in lines}
    assert "Traceback" not in said
    assert '"a"' not in said  # prompts are not logged
