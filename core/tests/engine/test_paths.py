"""What people type for a file: paths that are none, that cannot be read, that never end; and a stranger's paths."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from support.toy import PLUGIN, toy_host, write_toy, write_toy_file

from latentry import LatentryError, ModelError, NotAllowed, PluginHost, Policy, inspect_model
from latentry._files._finding._access import Access
from latentry._files._finding._locate import locate
from latentry._files._finding._parts import PartSources
from latentry._files._finding._paths import looks_like_path
from latentry._files._finding._repository import MOST_ENTRIES

SOURCE = """
from pathlib import Path
from latentry import ModelError, ModelSourceSpec, hookimpl
from latentry.models import ResolvedPath

@hookimpl
def latentry_model_sources():
    yield ModelSourceSpec(name="eager", target="eager:Eager", summary="For a test.", names="anything")

class Eager:
    def claims(self, text):
        return True

    def fetch(self, text, options):
        if options.offline:
            raise ModelError("It is not in the cache.")
        return ResolvedPath(Path({folder!r}), text, "c0ffee")
"""


@pytest.fixture
def eager(tmp_path: Path) -> PluginHost:
    """A host with a source that claims every text, and fetches the same toy for each."""
    folder = write_toy(tmp_path / "far" / "toy")
    (tmp_path / "eager.py").write_text(SOURCE.format(folder=str(folder)))
    return PluginHost(load=("latentry",), plugin_dirs=[PLUGIN, tmp_path / "eager.py"], strict=True)


PATHS = [
    "/absent", "./absent", "../absent", "~/absent", "~nosuchuser/x", "absent/", "absent.safetensors",
    "folder/absent.gguf", "folder/absent", "folder/deeper/absent.safetensors", "C:\\models\\x", "a\\b", "C:/x", "\0",
    "absent.ckpt", "folder/absent.safetensors.index.json",
]  # fmt: skip
NAMES = ["owner/name", "owner/name/file.gguf", "owner/name@v1", "folder/absent@v1", "owner/na.me", "name"]


@pytest.mark.parametrize("text", PATHS)
def test_what_looks_like_a_path_is_asked_of_no_source(
    eager: PluginHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    assert looks_like_path(text)
    with pytest.raises(ModelError, match="There is no model") as caught:
        locate(eager, text, None)
    assert caught.value.field == "model"
    for field in ("vae", "tokenizer", "config"):
        with pytest.raises(ModelError, match="There is no") as caught:
            locate(eager, "owner/name", None, PartSources(**{field: text}))
        assert caught.value.field == field
    with pytest.raises(ModelError, match="There is no file or folder"):
        inspect_model(eager, Path(text))


@pytest.mark.parametrize("text", NAMES)
def test_other_texts_are(eager: PluginHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    assert locate(eager, text, None).pinned == f"{text}@c0ffee"


def test_a_misspelt_path_is_answered_with_the_nearest(tmp_path: Path) -> None:
    write_toy_file(tmp_path / "painter.safetensors")
    with pytest.raises(ModelError, match="There is no model") as caught:
        locate(toy_host(), str(tmp_path / "paimter.safetensors"), None)
    assert caught.value.remedy == f"Did you mean {tmp_path / 'painter.safetensors'}?"


def test_a_folder_with_too_much_in_it_is_not_walked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the root of the file system, or a home: it is refused after a bounded number of entries."""
    for branch in range(10):
        deep = tmp_path / f"a{branch}" / "b" / "c" / "d" / "e"
        deep.mkdir(parents=True)
        (deep / "deep.safetensors").write_bytes(b"never opened")
    write_toy(tmp_path)
    locate(toy_host(), str(tmp_path), None)  # what lies deeper than a model's files is not looked at
    scanned: list[str] = []
    real = os.scandir
    monkeypatch.setattr("latentry._files._finding._repository.MOST_ENTRIES", 25)
    monkeypatch.setattr(os, "scandir", lambda path: scanned.append(str(path)) or real(path))
    with pytest.raises(ModelError, match="is not the folder of a model") as caught:
        locate(toy_host(), str(tmp_path), None)
    assert "more than 25 files and folders" in caught.value.why
    assert len(scanned) < 25 <= MOST_ENTRIES


def test_the_root_of_the_file_system_is_refused() -> None:
    for ask in (lambda: locate(toy_host(), "/", None), lambda: inspect_model(toy_host(), Path("/"))):
        with pytest.raises(ModelError, match=r"^/ is not|recognises /"):
            ask()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("name", ["pipe", "pipe.safetensors", "pipe.gguf", "pipe.safetensors.index.json", "link.sft"])
def test_a_pipe_is_refused_and_never_opened(tmp_path: Path, name: str) -> None:
    """A test that opens it hangs for ever: nobody writes into it."""
    os.mkfifo(tmp_path / "a-pipe")
    (tmp_path / name).symlink_to(tmp_path / "a-pipe")
    model = str(write_toy(tmp_path / "toy"))
    asked = (
        lambda: locate(toy_host(), str(tmp_path / name), None),
        lambda: inspect_model(toy_host(), tmp_path / name),
        lambda: locate(toy_host(), model, None, PartSources(vae=str(tmp_path / name))),
    )
    for ask in asked:
        with pytest.raises(ModelError, match="is not a regular file"):
            ask()
    os.mkfifo(tmp_path / "toy" / "model.safetensors")
    os.mkfifo(tmp_path / "toy" / "model_index.json")
    locate(toy_host(), model, None)  # a pipe is no file of the model


@pytest.mark.parametrize("where", ["the file", "its folder"])
def test_what_may_not_be_read_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    host, file = toy_host(), write_toy_file(tmp_path / "toy.safetensors")
    method = "open" if where == "the file" else "stat"
    real = getattr(Path, method)

    def refuse(self: Path, *arguments: Any, **options: Any) -> Any:
        if self == file:
            raise PermissionError(13, "Permission denied", str(self))
        return real(self, *arguments, **options)

    monkeypatch.setattr(Path, method, refuse)
    with pytest.raises(ModelError, match=r"toy\.safetensors") as caught:
        locate(host, str(file), None)
    assert "Permission denied" in caught.value.why


@pytest.mark.slow
def test_a_strangers_paths_are_opened_within_the_roots_alone(tmp_path: Path) -> None:
    inside, outside = write_toy(tmp_path / "models" / "toy"), write_toy(tmp_path / "elsewhere" / "toy")
    (tmp_path / "models" / "link").symlink_to(outside)
    policy = Policy(roots=(tmp_path / "models",))
    assert locate(toy_host(), str(inside), None, access=Access(policy=policy)).files.path == inside
    for text in (
        str(outside),
        str(tmp_path / "models" / ".." / "elsewhere" / "toy"),
        str(tmp_path / "models" / "link"),
    ):
        with pytest.raises(NotAllowed, match="may not be opened here") as caught:
            locate(toy_host(), text, None, access=Access(policy=policy))
        assert caught.value.field == "model"
        typed = Policy(roots=(tmp_path / "models",), typed=frozenset({text}))
        assert locate(toy_host(), text, None, access=Access(policy=typed)).files.path == outside
    with pytest.raises(NotAllowed, match="may not be opened") as caught:
        locate(toy_host(), str(inside), None, PartSources(config=str(outside)), Access(policy=policy))
    assert caught.value.field == "config"
    with pytest.raises(NotAllowed):
        locate(toy_host(), str(inside), None, access=Access(policy=Policy(roots=())))


def test_a_strangers_names_make_no_source_ask_the_network(eager: PluginHost, tmp_path: Path) -> None:
    policy = Policy(roots=(tmp_path,), downloads=False)
    with pytest.raises(NotAllowed, match="'owner/name' is not on this machine") as caught:
        locate(eager, "owner/name", None, access=Access(policy=policy))
    assert "model source 'eager' is asked" in caught.value.remedy
    typed = Policy(roots=(tmp_path,), downloads=False, typed=frozenset({"owner/name"}))
    assert locate(eager, "owner/name", None, access=Access(policy=typed)).commit == "c0ffee"
    with pytest.raises(ModelError, match="not in the cache"):  # the user's own wish needs no trust
        locate(eager, "owner/name", None, access=Access(offline=True, policy=policy))


@pytest.mark.slow
def test_refusals_are_of_the_request_and_not_tracebacks(tmp_path: Path) -> None:
    for text in ("\ud800", "a" * 5000, "\n", "*", "..", "~", "//", "\x1b[31m"):
        with pytest.raises(LatentryError):
            locate(toy_host(), text, None)
