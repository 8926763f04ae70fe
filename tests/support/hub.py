"""A stand-in for the Hugging Face Hub on this machine: what its client asks a model's repository for, and no more."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

import pytest

Files = Mapping[str, bytes]


@dataclass
class Repository:
    """A model's repository: commits by revision, files by commit."""

    revisions: dict[str, str] = field(default_factory=dict)
    commits: dict[str, Files] = field(default_factory=dict)
    gated: bool = False

    def commit(self, files: Files, revision: str = "main") -> str:
        """Adds a commit that a branch or a tag points to from now on, and gives its name."""
        name = sha1(repr((len(self.commits), sorted(files.items()))).encode()).hexdigest()
        self.commits[name], self.revisions[revision] = files, name
        return name

    def of(self, revision: str) -> str | None:
        """The commit of a revision, which may be the commit itself."""
        return revision if revision in self.commits else self.revisions.get(revision)


@dataclass
class StandIn:
    """The hub.

    Attributes:
        address: where it answers, for ``HF_ENDPOINT``.
        repositories: by ``owner/name``.
        asked: (method, path) of every request.
        down: answers nothing but 503.
    """

    address: str
    repositories: dict[str, Repository] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    down: bool = False

    def add(self, name: str, folder: Path) -> str:
        """A commit of a folder's files; gives its name."""
        files = {f.relative_to(folder).as_posix(): f.read_bytes() for f in folder.rglob("*") if f.is_file()}
        return self.repositories.setdefault(name, Repository()).commit(files)

    def downloads(self) -> list[str]:
        """The files whose contents were asked for."""
        return [path.split("/resolve/")[1].partition("/")[2] for kind, path in self.asked if _is_download(kind, path)]


def _is_download(kind: str, path: str) -> bool:
    return kind == "GET" and "/resolve/" in path


@contextmanager
def stand_in() -> Iterator[StandIn]:
    """A hub that answers until the end of the block."""

    class Answers(BaseHTTPRequestHandler):
        hub: StandIn

        def do_GET(self) -> None:
            """Descriptions and contents."""
            self._answer()

        def do_HEAD(self) -> None:
            """Headers alone."""
            self._answer()

        def log_message(self, format: str, *arguments: object) -> None:
            """Says nothing."""

        def _answer(self) -> None:
            path = unquote(urlsplit(self.path).path)
            self.hub.asked.append((self.command, path))
            status, headers, body = _answer_to(self.hub, path)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    hub = Answers.hub = StandIn(f"http://127.0.0.1:{server.server_address[1]}")
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


Answer = tuple[int, dict[str, str], bytes]
ROUTES = (
    re.compile(r"/api/models/(?P<repository>[^/]+/[^/]+)(/(?P<kind>revision|tree)/(?P<revision>[^/]+))?"),
    re.compile(r"/(?P<repository>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)"),
)


def _answer_to(hub: StandIn, path: str) -> Answer:
    asked = next(found for route in ROUTES if (found := route.fullmatch(path))).groupdict()
    repository = hub.repositories.get(asked["repository"])
    if hub.down:
        return 503, {}, b""
    if repository is None:
        return 401, {"X-Error-Code": "RepoNotFound"}, b"{}"
    if (commit := repository.of(asked.get("revision") or "main")) is None:
        return 404, {"X-Error-Code": "RevisionNotFound"}, b"{}"
    return _file(repository, commit, asked["file"]) if "file" in asked else _about(repository, commit, asked)


def _about(repository: Repository, commit: str, asked: Mapping[str, str]) -> Answer:
    files = repository.commits[commit]
    if asked["kind"] == "tree":
        return _json([_entry(name, content) for name, content in files.items()])
    siblings = [{"rfilename": name, "size": len(content)} for name, content in files.items()]
    return _json({"id": asked["repository"], "sha": commit, "siblings": siblings})


def _file(repository: Repository, commit: str, name: str) -> Answer:
    files = repository.commits[commit]
    if repository.gated:
        return 403, {"X-Error-Code": "GatedRepo"}, b"{}"
    if name not in files:
        return 404, {"X-Error-Code": "EntryNotFound"}, b""
    return 200, {"ETag": f'"{_id(files[name])}"', "X-Repo-Commit": commit}, files[name]


def _entry(name: str, content: bytes) -> dict[str, object]:
    return {"type": "file", "path": name, "size": len(content), "oid": _id(content)}


def _id(content: bytes) -> str:
    return sha1(content).hexdigest()


def _json(value: object) -> Answer:
    return 200, {"Content-Type": "application/json"}, json.dumps(value).encode()


def ask_only(hub: StandIn, cache: Path, patch: pytest.MonkeyPatch) -> None:
    """Lets this process's hub client ask the stand-in alone, with a cache of its own."""
    from huggingface_hub import constants

    patch.setattr(constants, "ENDPOINT", hub.address)
    patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.address + "/{repo_id}/resolve/{revision}/{filename}")
    patch.setattr(constants, "HF_HUB_CACHE", str(cache))
    patch.setattr(constants, "HF_HUB_OFFLINE", False)
