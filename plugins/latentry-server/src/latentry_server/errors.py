"""Errors as answers: one shape that clients of every interface find their message in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from latentry import LatentryError, OptionError

STATUS = {"not_allowed": 403, "plugin": 500, "resource": 503, "deadline": 504, "cancelled": 409}
"""By an error's code; all others are faults of the request, 422."""

NOT_AN_OBJECT = ("model_attributes_type", "dict_type")
AS_JSON = "Send one, with the header Content-Type: application/json."


class Full(Exception):
    """The queue is full."""


class Missing(Exception):
    """There is no such thing here.

    Args:
        what: in a sentence.
    """


def as_data(error: BaseException) -> dict[str, Any]:
    """An error as plain data. Of what is not Latentry's own, nothing is told but that it happened."""
    if isinstance(error, LatentryError):
        return {
            "code": error.code,
            "field": error.field,
            "what": error.what,
            "why": error.why,
            "remedy": error.remedy,
        }
    return {
        "code": "internal",
        "field": None,
        "what": "Something is wrong with the server.",
        "why": "",
        "remedy": "See its log.",
    }


def status_of(error: BaseException) -> int:
    """The status of the answer."""
    if not isinstance(error, LatentryError):
        return 500
    asked_for = error.code == "resource" and error.field is not None  # a device that is not here
    return 422 if asked_for else STATUS.get(error.code, 422)


def option_error(error: ValidationError) -> OptionError:
    """The first fault of a pydantic model's fields."""
    first = error.errors(include_url=False)[0]
    field = ".".join(map(str, first["loc"]))
    return OptionError(f"{field}: {first['msg']}."[:500], field=field[:100])


def answer(status: int, data: dict[str, Any], headers: dict[str, str] | None = None) -> JSONResponse:
    """The answer: plain, and as the clients of OpenAI (``error``) and AUTOMATIC1111 (``detail``) look for it."""
    message = " ".join(filter(None, (data["what"], data["why"], data["remedy"])))
    kind = "invalid_request_error" if status < 500 else "server_error"
    error = {"message": message, "type": kind, "param": data["field"], "code": data["code"]}
    return JSONResponse({**data, "error": error, "detail": message}, status, headers)


def plain(code: str, what: str, remedy: str = "", field: str | None = None) -> dict[str, Any]:
    """The data of an error that is the server's own."""
    return {"code": code, "field": field, "what": what, "why": "", "remedy": remedy}


def handle_errors(app: FastAPI, shown: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Has an application answer errors so.

    Args:
        app: the application.
        shown: makes of an error's data what strangers may see.
    """

    @app.exception_handler(LatentryError)
    async def latentry_error(request: Request, error: LatentryError) -> JSONResponse:
        return answer(status_of(error), shown(as_data(error)))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        if tuple(first["loc"]) == ("body",) and first["type"] in NOT_AN_OBJECT:
            return answer(422, plain("option", "The body is not a JSON object.", AS_JSON))
        where = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
        words = str(first["msg"]).removeprefix("Value error, ")
        return answer(422, plain("option", f"{where or 'The request'}: {words}."[:500], field=where[:100] or None))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        code = {404: "not_found", 405: "method"}.get(error.status_code, "request")
        return answer(error.status_code, plain(code, f"{error.detail}."), dict(error.headers or {}))

    @app.exception_handler(Missing)
    async def missing(request: Request, error: Missing) -> JSONResponse:
        return answer(404, plain("not_found", str(error)))

    @app.exception_handler(Full)
    async def full(request: Request, error: Full) -> JSONResponse:
        return answer(429, plain("busy", "The queue is full.", "Ask again later."), {"Retry-After": "5"})

    @app.exception_handler(Exception)
    async def fault(request: Request, error: Exception) -> JSONResponse:
        return answer(500, as_data(error))
