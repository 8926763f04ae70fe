"""The command line, each command in a process of its own, without paying seconds of imports for each.

One process imports the heavy libraries and then forks for each command, so that exit codes, both outputs and what is
left behind are those of a real process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
FORKS = sys.platform == "linux"
"""Windows has no fork, and on macOS the system's libraries do not survive one: there each command is a new Python."""

SERVER = """
import json, os, sys, traceback
import torch
torch.set_num_threads(1)
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer
from latentry._cli import main
from latentry._generate._engine import Engine
import latentry_sd.model

def run(job):
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(job[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.chdir(job["folder"])
    os.environ.update(job["environment"])
    try:
        return main(job["arguments"])
    except SystemExit as error:
        return error.code or 0
    except BaseException:
        traceback.print_exc()
        return 1

for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        code = run(json.loads(line))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


def clean_environment() -> dict[str, str]:
    """Ours without Latentry's own variables; offline, on one thread, with the tests' helpers at hand."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LATENTRY_")}
    path = os.pathsep.join(filter(None, (str(TESTS), kept.get("PYTHONPATH"))))
    return kept | {"PYTHONPATH": path, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "LATENTRY_CONFIG": ""}


class CommandLine:
    """Runs ``latentry`` with arguments.

    Args:
        scratch: a folder for its outputs.
    """

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._server = _start_server() if FORKS else None

    def __call__(self, *arguments: object, folder: Path, environment: Mapping[str, str] | None = None) -> Done:
        """Run a command in a folder and wait for its end."""
        if self._server is None:
            return fresh(*arguments, folder=folder, environment=environment)
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        out, err = self._scratch / "out", self._scratch / "err"
        job = {
            "arguments": [str(argument) for argument in arguments],
            "folder": str(folder),
            "environment": dict(environment or {}),
            "out": str(out),
            "err": str(err),
        }
        print(json.dumps(job), file=self._server.stdin, flush=True)
        return Done(int(self._server.stdout.readline()), out.read_text(), err.read_text())

    def close(self) -> None:
        """End the process."""
        if self._server is None:
            return
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait()
        self._server.stdout.close()


def _start_server() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    )


def fresh(*arguments: object, folder: Path, environment: Mapping[str, str] | None = None) -> Done:
    """Run a command in a new Python, imports and all."""
    code = "import sys; from latentry._cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=folder,
        env=clean_environment() | dict(environment or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)
