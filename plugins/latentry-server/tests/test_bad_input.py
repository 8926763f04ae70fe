"""Whatever is sent is answered with a reason, and the next request works."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.serving import Running

JOBS = "/latentry/v1/jobs"


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def png(width: int, height: int) -> bytes:
    """A picture of that size, black, in few bytes."""
    file = BytesIO()
    Image.new("1", (width, height)).save(file, "PNG", compress_level=9)
    return file.getvalue()


def header(width: int, height: int) -> bytes:
    """A picture that says it is that large, and has no pixels."""
    body = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0"
    chunk = (13).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    return b"\x89PNG\r\n\x1a\n" + chunk


@pytest.fixture(autouse=True)
def next_request_works(server: Running) -> Iterator[None]:
    yield
    assert server.events(server.job()["id"])[-1]["state"] == "done"


def request(**fields: Any) -> dict[str, Any]:
    return {"request": {"prompt": "a", "steps": 2} | fields}


PICTURES: dict[str, Callable[[], bytes]] = {
    "a bomb": lambda: png(20_000, 20_000),
    "a header": lambda: header(2**31 - 1, 2**31 - 1),
    "truncated": lambda: png(640, 640)[:-40],
    "not a picture": lambda: b"GIF89a" + bytes(100),
    "nothing": bytes,
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_that_are_none_are_refused(server: Running, name: str) -> None:
    data = PICTURES[name]()
    calls: list[dict[str, Any]] = [
        {"path": JOBS, "json": {**request(), "init_image": encoded(data)}},
        {"path": JOBS, "json": {**request(), "init_image": encoded(png(64, 64)), "mask": encoded(data)}},
        {"path": "/latentry/v1/recipe", "json": {"image": encoded(data)}},
        {"path": "/sdapi/v1/png-info", "json": {"image": encoded(data)}},
        {"path": "/sdapi/v1/img2img", "json": {"init_images": [encoded(data)]}},
        {"path": "/v1/images/edits", "data": {"prompt": "a"}, "files": {"image": data}},
    ]
    for call in calls:
        answer = server.ask("POST", **call)
        assert 400 <= answer.status_code < 500, (call["path"], answer.text)
        assert answer.json()["what"]


FIELDS: dict[str, dict[str, Any]] = {
    "a path": {"model": "/etc/passwd"},
    "a path upwards": {"model": "../../../../etc/passwd"},
    "a device": {"init_image": "/dev/zero"},
    "a pipe": {"plan": "/dev/stdin"},
    "a null": {"model": "toy\0"},
    "a folder of somebody": {"vae": "~root"},
    "a LoRA": {"loras": [{"path": "/etc/passwd"}]},
    "the Hub": {"model": "someone/something"},
    "10,000 steps": {"steps": 10_000},
    "a billion pictures": {"count": 10**9},
    "large": {"width": 8192, "height": 8192},
    "a long prompt": {"prompt": "a" * 10**7},
    "many prompts": {"prompt": ["a"] * 100_000},
    "a strength": {"strength": 1e-9, "strength_mode": "full"},
    "another device": {"device": "cuda:99"},
    "not a number": {"guidance": "NaN"},
    "no option": {"scheduler_options": {"nothing": 1}},
    "deep": {"conditioning": {"a": [[[[[[[[[[]]]]]]]]]]}},
}


@pytest.mark.parametrize("name", FIELDS)
def test_fields_that_cannot_be_are_refused(server: Running, name: str) -> None:
    for path in (JOBS, "/latentry/v1/prepare"):
        answer = server.ask("POST", path, json=request(**FIELDS[name]))
        assert 400 <= answer.status_code < 500, answer.text
        assert answer.json()["code"] in ("not_allowed", "option", "resource", "incompatible", "model", "large")
        assert len(answer.text) < 3000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b"\xff\xfe",
        b"null",
        b'{"prompt": NaN}',
        b'{"request": {"steps": ' + b"9" * 5000 + b"}}",
    ],
    ids=["empty", "open", "nested", "bytes", "null", "NaN", "digits"],
)
@pytest.mark.parametrize("path", [JOBS, "/v1/images/generations", "/sdapi/v1/txt2img", "/sdapi/v1/options"])
def test_broken_json_is_refused(server: Running, path: str, body: bytes) -> None:
    answer = server.ask("POST", path, content=body, headers={"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["what"]


def test_too_many_bytes_are_refused_by_their_number_and_while_they_come(server: Running) -> None:
    much = server.service.settings.body + 1
    answer = server.ask("POST", JOBS, content=bytes(much))
    assert (answer.status_code, answer.json()["code"]) == (413, "large")

    def pieces() -> Iterator[bytes]:
        for _ in range(much // 2**20 + 2):
            yield bytes(2**20)

    assert server.ask("POST", JOBS, content=pieces()).status_code in (400, 413)


def test_no_answer_tells_what_lies_outside(server: Running, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("secret")
    answers = {
        server.ask("POST", JOBS, json=request(model=str(tmp_path / name))).text.replace(name, "")
        for name in ("there", "gone")
    }
    assert len(answers) == 1
    assert str(server.models) not in answers.pop()


@pytest.mark.slow
def test_nothing_that_fits_the_description_is_a_fault_of_the_server(server: Running) -> None:
    """schemathesis makes requests of the OpenAPI description, those that fit and those that do not."""
    schemathesis = pytest.importorskip("schemathesis")
    from hypothesis import HealthCheck, Phase, given, settings

    schema = schemathesis.openapi.from_dict(json.loads(server.ask("GET", "/openapi.json").text))
    budget = settings(
        max_examples=4,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    faults, asked = [], 0
    for operation in schema.get_all_operations():
        for mode in schemathesis.GenerationMode:

            @budget
            @given(case=operation.ok().as_strategy(generation_mode=mode))
            def check(case: Any) -> None:
                nonlocal asked
                if case.path.endswith(("/events", "/txt2img", "/img2img")) and case.method == "GET":
                    return
                answer = case.call(base_url=server.url, timeout=60)
                asked += 1
                if answer.status_code >= 500:
                    faults.append((case.method, case.formatted_path, answer.status_code, answer.text[:300]))

            try:
                check()
            except Exception as error:  # an operation without such cases
                if "Unsatisfiable" not in type(error).__name__:
                    raise
    assert faults == []
    assert asked > 100


def test_the_description_is_strict_json(server: Running) -> None:
    constants: list[str] = []
    json.loads(server.ask("GET", "/openapi.json").text, parse_constant=constants.append)
    assert constants == []


def test_what_is_wrong_is_said_in_words_of_who_sent_it(server: Running) -> None:
    """The field of the interface, what was sent, and where to look; nothing of the server's insides."""
    text = encoded(b"hello")
    calls: list[tuple[dict[str, Any], str | None, str]] = [
        ({"path": "/sdapi/v1/img2img", "json": {"init_images": [text]}}, "init_images", "not a picture"),
        ({"path": "/sdapi/v1/img2img", "json": {"init_images": [""]}}, "init_images", "empty"),
        ({"path": "/sdapi/v1/img2img", "json": {"init_images": ["$$$$"]}}, "init_images", "base64"),
        ({"path": "/sdapi/v1/img2img", "json": {"init_images": ["http://x/y.png"]}}, "init_images", "not fetched"),
        ({"path": "/sdapi/v1/png-info", "json": {"image": text}}, None, "read as a picture"),
        ({"path": "/v1/images/edits", "data": {"prompt": "a"}, "files": {"image": b"hello"}}, "image", "not a picture"),
        ({"path": "/sdapi/v1/txt2img", "json": {"sampler_name": "Eular a"}}, "sampler_name", "/sdapi/v1/samplers"),
        ({"path": "/sdapi/v1/txt2img", "json": {"scheduler": "Karas"}}, "scheduler", "/sdapi/v1/schedulers"),
        ({"path": "/v1/images/generations", "data": {"prompt": "a"}}, None, "Content-Type: application/json"),
        ({"path": "/sdapi/v1/options", "json": None, "content": b"3"}, None, "Content-Type: application/json"),
    ]
    for call, field, words in calls:
        answer = server.ask("POST", **call)
        assert answer.status_code == 422, (call, answer.text)
        assert (answer.json()["field"], words in answer.json()["detail"]) == (field, True), answer.text
        assert "object at 0x" not in answer.text


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"size": "0x64"}, "size"),
        ({"size": "65x64"}, "size"),
        ({"size": "64x65"}, "size"),
        ({"size": "99999x99999"}, "size"),
        ({"size": "large"}, "size"),
        ({"latentry": {"width": 65, "height": 64}}, "width"),
    ],
)
def test_a_size_is_refused_by_the_field_that_it_came_in(server: Running, body: dict[str, Any], field: str) -> None:
    for path, sent in (
        ("generations", {"json": {"prompt": "a", **body}}),
        ("edits", {"data": {"prompt": "a", "size": body.get("size", "")}, "files": {"image": png(64, 64)}}),
    ):
        if path == "edits" and field != "size":
            continue
        answer = server.ask("POST", f"/v1/images/{path}", **sent)
        assert answer.status_code in (403, 422), answer.text
        assert (answer.json()["field"], answer.json()["error"]["param"]) == (field, field), answer.text
        assert "width" not in answer.json()["what"], answer.text


def test_base64_may_be_wrapped_into_lines(server: Running) -> None:
    wrapped = base64.encodebytes(png(64, 64)).decode()
    assert "\n" in wrapped.strip()
    assert server.ask("POST", "/sdapi/v1/png-info", json={"image": wrapped}).status_code == 200


def test_routes_of_other_programs_that_are_not_here_are_missing(server: Running) -> None:
    """With any method, and not called the wrong one."""
    for method in ("GET", "POST"):
        assert server.ask(method, "/sdapi/v1/extra-single-image", json={}).status_code == 404
