"""The examples of hosts: a window, a notebook and a web service."""

from __future__ import annotations

import ast
import asyncio
import base64
import importlib.util
import inspect
import json
import sys
import time
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image
from support.distributions import CORE
from support.toy import toy_host, write_toy

from latentry import Engine, GenerationRequest, Policy, read_recipe

EXAMPLES = CORE.parent / "examples"
LONG = 60.0


@pytest.fixture
def window() -> ModuleType:
    spec = importlib.util.spec_from_file_location("window", EXAMPLES / "window.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["window"] = module  # dataclasses look it up
    spec.loader.exec_module(module)
    return module


def until_over(studio: Any) -> list[Any]:
    """All updates of a job; asked for as a window does."""
    found: list[Any] = []
    until = time.monotonic() + LONG
    while not (found and found[-1].over):
        assert time.monotonic() < until
        found += studio.news()
        time.sleep(0.01)
    return found


def test_a_window_is_told_what_comes(window: ModuleType, tmp_path: Path) -> None:
    """Without a display: what shows it is apart from what there is to show."""
    engine = Engine(toy_host())
    studio = window.Studio(engine)
    request = GenerationRequest(prompt="a", model=str(write_toy(tmp_path / "model")), steps=4, seed=1)
    assert studio.news() == []
    studio.draw(request)
    found = until_over(studio)
    shares = [update.share for update in found if update.share is not None]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    images = [update.image for update in found if update.image is not None]
    assert len(images) >= 2
    assert images[-1].tobytes() == engine.generate(request).images[0].tobytes()
    studio.draw(request.model_copy(update={"steps": 500}))
    studio.cancel()
    assert "cancelled" in until_over(studio)[-1].text


def test_the_window_opens_and_closes(window: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tkinter = pytest.importorskip("tkinter")
    try:
        tkinter.Tk().destroy()
    except tkinter.TclError as error:
        pytest.skip(f"no display: {error}")
    monkeypatch.setattr(tkinter.Tk, "mainloop", lambda self: (self.update(), self.destroy()))
    window.show(window.Studio(Engine(toy_host())))


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom() -> None:
    """As IPython runs it: a cell may await, and its last expression is shown."""
    shown: list[Any] = []
    namespace: dict[str, Any] = {"display": shown.append}
    cells = json.loads((EXAMPLES / "notebook.ipynb").read_text(encoding="utf-8"))["cells"]

    async def run() -> None:
        for cell in cells:
            if cell["cell_type"] == "code":
                code = compile("".join(cell["source"]), cell["id"], "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
                if inspect.iscoroutine(running := eval(code, namespace)):
                    await running

    asyncio.run(run())
    assert len(shown) >= 5
    assert all(isinstance(picture, Image.Image) for picture in shown)
    assert not any(cell.get("outputs") for cell in cells)  # none is committed


def test_a_web_service_sends_pictures_as_they_come_and_refuses_what_is_too_much(tmp_path: Path) -> None:
    fastapi = pytest.importorskip("fastapi.testclient")
    spec = importlib.util.spec_from_file_location("service", EXAMPLES / "service.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["service"] = module
    spec.loader.exec_module(module)
    policy = replace(Policy.network(), roots=(tmp_path,))
    engine, model = Engine(toy_host(), policy=policy), str(write_toy(tmp_path / "model"))
    fields = {"prompt": "a", "model": model, "steps": 3, "seed": 1, "count": 2, "batch": 1}
    with fastapi.TestClient(module.service(engine)) as client:
        answer = client.post("/draw", json=fields)
        told = [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line]
        assert told[-1] == {"state": "done"}
        pictures = [base64.b64decode(each["picture"]) for each in told if "picture" in each]
        assert [read_recipe(BytesIO(picture)).index for picture in pictures] == [0, 1]
        refused = client.post("/draw", json={**fields, "steps": 10_000})
        assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (422, "not_allowed", "steps")
