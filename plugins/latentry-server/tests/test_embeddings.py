"""Textual inversions in a server's folder: by name in its own interface, as words of prompts in AUTOMATIC1111's."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from support.serving import Running, running

from latentry import PluginHost, read_recipe

pytest.importorskip("latentry_sd")
webuiapi = pytest.importorskip("webuiapi")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Stable Diffusion, and files of vectors; one is too wide for it."""
    from support.models import write_stable_diffusion

    root = tmp_path_factory.mktemp("learnt")
    write_stable_diffusion(root / "toy")  # the name that the server draws with by default
    save_file({"emb_params": torch.randn(3, 32)}, root / "cat-toy.safetensors")
    save_file({"emb_params": torch.randn(1, 33)}, root / "wide.safetensors")
    save_file({"emb_params": torch.randn(1, 32)}, root / "my style.safetensors")  # not one word
    return root


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Running]:
    with running(folder, PluginHost()) as found:
        yield found


def test_they_are_listed(server: Running) -> None:
    webui = webuiapi.WebUIApi(port=server.port)
    found = webui.get_embeddings()
    webui.session.close()
    assert {name: (one["vectors"], one["shape"]) for name, one in found["loaded"].items()} == {
        "cat-toy": (3, 32),
        "wide": (1, 33),
    }
    told = server.ask("GET", "/latentry/v1/models").json()
    assert told["embeddings"] == ["cat-toy", "wide"]
    assert [model["name"] for model in told["models"] if not model["name"].startswith("shapes")] == ["toy"]


def test_a_name_is_as_good_as_its_path(server: Running, folder: Path) -> None:
    """The pictures are those of the path, other ones than without it, and recipes tell the name alone."""

    def drawn(*paths: str) -> bytes:
        job = server.job(prompt="a cat-toy", width=64, height=64, embeddings=[{"path": path} for path in paths])
        assert server.events(job["id"])[-1]["state"] == "done"
        recipe = server.ask("GET", f"/latentry/v1/jobs/{job['id']}/recipes/0").json()
        assert [one["path"] for one in recipe["request"].get("embeddings", [])] == ["cat-toy"] * len(paths)
        return server.ask("GET", f"/latentry/v1/jobs/{job['id']}/images/0.png").content

    by_name = drawn("cat-toy")
    assert by_name == drawn(str(folder / "cat-toy.safetensors"))
    assert by_name != drawn()


def test_a_relative_folder_is_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names in place of paths wherever something is told, and as what is dropped from memory."""
    monkeypatch.chdir(folder.parent)
    wanted = {"prompt": "a cat-toy", "steps": 2, "width": 64, "height": 64, "embeddings": [{"path": "cat-toy"}]}
    with running(Path(folder.name), PluginHost()) as server:
        told = server.ask("POST", "/latentry/v1/prepare", json={"request": wanted}).json()["request"]
        job = server.job(**wanted)
        assert server.events(job["id"])[-1]["state"] == "done"
        recipe = server.ask("GET", f"/latentry/v1/jobs/{job['id']}/recipes/0").json()["request"]
        for request in (told, recipe):
            assert (request["model"], request["embeddings"][0]["path"]) == ("toy", "cat-toy")
            assert str(folder) not in str(request)
        assert [one["name"] for one in server.ask("GET", "/latentry/v1/models").json()["loaded"]] == ["toy"]
        assert server.ask("DELETE", "/latentry/v1/models/toy").status_code == 200
        assert server.ask("GET", "/latentry/v1/models").json()["loaded"] == []


def test_a_word_of_a_prompt_is_one(server: Running) -> None:
    """In any case and with a weight; a file that no prompt has as a word is left alone, whatever model it is for."""
    for prompts in ({"prompt": "a (Cat-Toy:1.2)"}, {"prompt": "a", "negative_prompt": "cat-toy, blue"}):
        body: dict[str, Any] = {**prompts, "seed": 1, "steps": 2, "width": 64, "height": 64, "cfg_scale": 3}
        answer = server.ask("POST", "/sdapi/v1/txt2img", json=body)
        assert answer.status_code == 200, answer.text
        recipe = read_recipe(BytesIO(base64.b64decode(answer.json()["images"][0])))
        assert [one.name for one in recipe.request.embeddings] == ["cat-toy"]


def test_a_word_that_is_the_name_of_another_models_file_is_a_word(server: Running) -> None:
    """AUTOMATIC1111 skips such files, and whoever writes a prompt cannot know what lies in the server's folder."""

    def drawn(prompt: str) -> dict[str, Any]:
        body: dict[str, Any] = {"prompt": prompt, "seed": 1, "steps": 2, "width": 64, "height": 64}
        answer = server.ask("POST", "/sdapi/v1/txt2img", json=body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    found = drawn("a wide cat-toy in my style")
    assert json.loads(found["info"])["skipped_embeddings"] == ["wide"]
    recipe = read_recipe(BytesIO(base64.b64decode(found["images"][0])))
    assert [one.name for one in recipe.request.embeddings] == ["cat-toy"]
    assert json.loads(drawn("a cat-toy")["info"])["skipped_embeddings"] == []
    asked = {"prompt": "a wide cat", "width": 64, "height": 64, "embeddings": [{"path": "wide"}]}
    refused = server.ask("POST", "/latentry/v1/jobs", json={"request": asked})  # by name it is refused
    assert (refused.status_code, refused.json()["field"]) == (422, "embeddings")
    assert "learnt" not in refused.text  # the folder is the server's affair
