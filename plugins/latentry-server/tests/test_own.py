"""The server's own interface: jobs, events, pictures, recipes, and data about everything that is installed."""

from __future__ import annotations

import base64
from collections.abc import Callable
from io import BytesIO
from typing import Any

import httpx
from PIL import Image
from support.serving import Running

from latentry import Engine, GenerationRequest, read_recipe, request_schema

LONG = {"steps": 150, "count": 16, "batch": 1}
"""A job that goes on for long enough to be ended."""


def png(size: tuple[int, int] = (64, 64), colour: str = "teal") -> str:
    """A picture in base64."""
    file = BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def test_a_job_is_followed_to_its_pictures(server: Running) -> None:
    job = server.job(count=3, batch=2)
    events = server.events(job["id"])
    kinds = [event["event"] for event in events]
    assert kinds[:2] == ["queued", "started"]
    assert kinds[-1] == "ended"
    assert [event["pictures"] for event in events if event["event"] == "drawn"] == [[0, 1], [2]]
    steps = [event["step"] for event in events if event["event"] == "step"]
    assert steps == sorted(steps)
    assert server.ask("GET", f"/latentry/v1/jobs/{job['id']}").json()["state"] == "done"
    for index in range(3):
        answer = server.ask("GET", f"/latentry/v1/jobs/{job['id']}/images/{index}.png")
        recipe = read_recipe(BytesIO(answer.content))
        assert recipe.index == index
        assert (
            recipe.model_dump(mode="json") == server.ask("GET", f"/latentry/v1/jobs/{job['id']}/recipes/{index}").json()
        )


def test_a_picture_is_what_the_engine_draws(server: Running) -> None:
    job = server.job(seed=7)
    server.events(job["id"])
    answer = server.ask("GET", f"/latentry/v1/jobs/{job['id']}/images/0.png")
    request = GenerationRequest(prompt="a", steps=3, seed=7, model=str(server.models / "toy"))
    own = Engine(server.service.host).generate(request)
    with Image.open(BytesIO(answer.content)) as picture:
        assert picture.tobytes() == own.images[0].tobytes()


def test_pictures_come_in_other_formats(server: Running) -> None:
    job = server.job()
    server.events(job["id"])
    for suffix, media in {"jpg": "image/jpeg", "webp": "image/webp"}.items():
        answer = server.ask("GET", f"/latentry/v1/jobs/{job['id']}/images/0.{suffix}")
        assert answer.headers["content-type"] == media
        assert read_recipe(BytesIO(answer.content)).request.seed == 1
    assert server.ask("GET", f"/latentry/v1/jobs/{job['id']}/images/0.exe").status_code == 404
    assert server.ask("GET", f"/latentry/v1/jobs/{job['id']}/images/9.png").status_code == 404


def test_previews_come_in_between(server: Running) -> None:
    job = server.job(steps=150)
    shown = [event for event in server.events(job["id"]) if event["event"] == "preview"]
    assert shown
    for event in shown:
        with Image.open(BytesIO(base64.b64decode(event["image"]))) as picture:
            assert picture.format == "JPEG"


def test_a_job_is_cancelled(server: Running) -> None:
    job = server.job(**LONG)
    for event in server.each_event(job["id"]):
        if event["event"] == "drawn":
            break
    server.ask("DELETE", f"/latentry/v1/jobs/{job['id']}")
    assert server.events(job["id"])[-1]["state"] == "cancelled"


def test_a_job_ends_with_what_it_has(server: Running) -> None:
    job = server.job(**LONG)
    for event in server.each_event(job["id"]):
        if event["event"] == "drawn":
            server.ask("DELETE", f"/latentry/v1/jobs/{job['id']}?keep=true")
            break
    assert server.events(job["id"])[-1]["state"] == "done"
    assert 1 <= len(server.ask("GET", f"/latentry/v1/jobs/{job['id']}").json()["pictures"]) < 16


def test_a_paused_job_goes_on_to_the_same_pictures(server: Running) -> None:
    whole = server.job(steps=150, count=4, batch=1)
    server.events(whole["id"])
    job = server.job(steps=150, count=4, batch=1)
    for event in server.each_event(job["id"]):
        if event["event"] == "drawn":
            break
    paused = server.ask("POST", f"/latentry/v1/jobs/{job['id']}/pause")
    assert paused.status_code == 200, paused.text
    resumed = server.ask("POST", "/latentry/v1/jobs/resume", json={"state": paused.json()["state"]}).json()
    assert server.events(resumed["id"])[-1]["state"] == "done"
    for index in range(4):
        one, other = (
            server.ask("GET", f"/latentry/v1/jobs/{one}/images/{index}.png") for one in (whole["id"], resumed["id"])
        )
        assert one.content == other.content


def test_a_finished_job_is_forgotten_when_asked(server: Running) -> None:
    job = server.job()
    server.events(job["id"])
    assert server.ask("DELETE", f"/latentry/v1/jobs/{job['id']}?forget=false").status_code == 200
    assert server.ask("GET", f"/latentry/v1/jobs/{job['id']}").status_code == 200
    assert server.ask("DELETE", f"/latentry/v1/jobs/{job['id']}").status_code == 200
    assert server.ask("GET", f"/latentry/v1/jobs/{job['id']}").status_code == 404


def test_errors_name_models_as_they_are_offered(server: Running) -> None:
    """The engine's message has the path, which is the server's affair."""
    answer = server.ask("POST", "/latentry/v1/jobs", json={"request": {"prompt": "a", "scheduler": "flow-only"}})
    assert answer.status_code == 422
    assert "cannot be used with toy." in answer.json()["what"]
    assert str(server.models) not in answer.text


def test_pictures_are_uploaded(server: Running) -> None:
    body: dict[str, Any] = {"request": {"prompt": "a", "steps": 3, "seed": 1, "strength": 0.5}, "init_image": png()}
    job = server.ask("POST", "/latentry/v1/jobs", json=body).json()
    assert server.events(job["id"])[-1]["state"] == "done"
    recipe = server.ask("GET", f"/latentry/v1/jobs/{job['id']}/recipes/0").json()
    assert set(recipe["inputs"]) == {"init_image"}


def test_a_recipe_is_read_and_drawn_again(server: Running) -> None:
    job = server.job(seed=11)
    server.events(job["id"])
    picture = server.ask("GET", f"/latentry/v1/jobs/{job['id']}/images/0.png").content
    recipe = server.ask("POST", "/latentry/v1/recipe", json={"image": base64.b64encode(picture).decode()}).json()
    again = server.ask("POST", "/latentry/v1/jobs", json={"request": recipe["request"]}).json()
    server.events(again["id"])
    same = server.ask("GET", f"/latentry/v1/jobs/{again['id']}/images/0.png").content
    with Image.open(BytesIO(picture)) as one, Image.open(BytesIO(same)) as other:
        assert one.tobytes() == other.tobytes()


def test_choices_are_told_without_drawing(server: Running) -> None:
    body = {"request": {"prompt": "a", "scheduler": "unipc", "seed": 1}}
    answer = server.ask("POST", "/latentry/v1/prepare", json=body).json()
    assert answer["request"]["scheduler"] == "latentry-unipc:unipc"
    assert answer["evaluations"] == answer["request"]["steps"]


def test_schemas_models_and_the_matrix_are_those_of_the_host(server: Running) -> None:
    assert server.ask("GET", "/latentry/v1/schema/request").json() == request_schema()
    found = server.ask("GET", "/latentry/v1/schema").json()
    one = server.ask("GET", "/latentry/v1/schema/schedulers/unipc").json()
    assert found["schedulers"]["unipc"] == one
    offered = server.ask("GET", "/latentry/v1/models").json()
    assert {"toy", "toy-flow"} <= {model["name"] for model in offered["models"]}
    assert "broken" not in {model["name"] for model in offered["models"]}
    assert str(server.models) not in str(offered["models"])
    rows = server.ask("GET", "/latentry/v1/matrix", params={"model": "toy"}).json()
    assert {row["scheduler"] for row in rows if not row["fits"]} >= {"flow-only"}


def test_a_model_is_named_or_the_default(server: Running) -> None:
    job = server.job(model="toy-flow")
    server.events(job["id"])
    recipe = server.ask("GET", f"/latentry/v1/jobs/{job['id']}/recipes/0").json()
    assert recipe["request"]["model"] == "toy-flow"  # not the path
    loaded = server.ask("GET", "/latentry/v1/models").json()["loaded"]
    assert "toy-flow" in {one["name"] for one in loaded}
    for path in ("/latentry/v1/models", "/sdapi/v1/memory", "/metrics"):
        answer = server.ask("GET", path)
        assert "toy-flow" in answer.text
        assert str(server.models) not in answer.text
    for one in loaded:
        assert server.ask("DELETE", f"/latentry/v1/models/{one['name']}").status_code == 200


def test_a_full_queue_refuses_and_takes_again(start: Callable[..., Running]) -> None:
    server = start(queue=1)
    job = server.job(**LONG)
    refused = server.ask("POST", "/latentry/v1/jobs", json={"request": {"prompt": "a"}})
    assert (refused.status_code, refused.json()["code"]) == (429, "busy")
    assert refused.headers["retry-after"]
    server.ask("DELETE", f"/latentry/v1/jobs/{job['id']}")
    server.events(job["id"])
    server.events(server.job()["id"])


def test_keys_are_asked_for_in_every_way_that_clients_send_them(start: Callable[..., Running]) -> None:
    server = start(keys=frozenset({"secret", "other"}))
    path = "/latentry/v1/schedulers"
    assert server.ask("GET", path).status_code == 401
    assert server.ask("GET", "/health").status_code == 200
    assert server.ask("GET", "/").status_code == 200
    basic = "Basic " + base64.b64encode(b"me:secret").decode()
    for headers in ({"Authorization": "Bearer other"}, {"X-API-Key": "secret"}, {"Authorization": basic}):
        assert server.ask("GET", path, headers=headers).status_code == 200
    for wrong in ("Bearer wrong", "Basic ???", "Bearer", "Basic " + base64.b64encode(b"\xff").decode(), "Bearer séc"):
        assert httpx.get(server.url + path, headers={"Authorization": wrong.encode("latin-1")}).status_code == 401


def test_pages_of_other_servers_are_refused_unless_allowed(server: Running, start: Callable[..., Running]) -> None:
    headers = {"Origin": "https://elsewhere.example"}
    assert "access-control-allow-origin" not in server.ask("GET", "/health", headers=headers).headers
    open_one = start(origins=("https://elsewhere.example",))
    answer = open_one.ask("GET", "/health", headers=headers)
    assert answer.headers["access-control-allow-origin"] == "https://elsewhere.example"


def test_old_jobs_are_forgotten(start: Callable[..., Running]) -> None:
    server = start(history=2)
    jobs = [server.job()["id"] for _ in range(4)]
    for job in jobs[-2:]:
        server.events(job)
    for job in jobs:
        httpx.get(f"{server.url}/latentry/v1/jobs/{job}/events", timeout=60.0)
    assert len(server.ask("GET", "/latentry/v1/jobs").json()) <= 2


def test_health_and_metrics_count(start: Callable[..., Running]) -> None:
    server = start()
    server.events(server.job()["id"])
    assert server.ask("GET", "/health").json() == {"status": "ok", "running": 0, "queued": 0, "queue": 64}
    text = server.ask("GET", "/metrics").text
    assert 'latentry_jobs_total{api="latentry",state="done"} 1.0' in text
    assert 'latentry_pictures_total{api="latentry"} 1.0' in text
    assert 'route="/latentry/v1/jobs",status="202"' in text


def test_the_page_asks_nobody_else(server: Running) -> None:
    page = server.ask("GET", "/")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for name in ("style.css", "app.js", "api.js", "form.js", "jobs.js"):
        part = server.ask("GET", f"/page/{name}")
        assert part.status_code == 200
        assert "://" not in part.text
    assert "://" not in page.text
    assert server.ask("GET", "/page/../app.py").status_code == 404
    assert server.ask("GET", "/page/nothing.js").status_code == 404
