"""Schemas of requests and options are strict JSON, and say what the models that read these values say."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import pytest
from support.toy import toy_host

from latentry import GenerationRequest, MemoryPolicy, option_schema, request_schema, schemas
from latentry._request._schema import TARGETS, strict
from latentry._request._values._option import declared_options


def constants(schema: Any) -> list[str]:
    """Numbers that JSON does not have."""
    found: list[str] = []
    json.loads(json.dumps(schema), parse_constant=found.append)
    return found


@pytest.mark.parametrize("model", [GenerationRequest, MemoryPolicy])
def test_every_field_of_a_request_is_there_and_described(model: Any) -> None:
    schema = request_schema(model)
    assert constants(schema) == []
    assert set(schema["properties"]) == set(model.model_fields)
    for name, option in declared_options(model):
        assert schema["properties"][name].get("x-needs", "") == option.needs
        assert schema["properties"][name]["title"]


def test_a_form_finds_bounds_units_and_names() -> None:
    properties = request_schema()["properties"]
    assert properties["width"]["x-unit"] == "pixels"
    assert properties["scheduler"]["x-names"] == "schedulers"
    bounds = next(one for one in properties["guidance"]["anyOf"] if one["type"] == "number")
    assert (bounds["minimum"], bounds["maximum"]) == (0.0, 1000.0)


def test_the_schema_of_requests_needs_no_torch() -> None:
    code = "import sys, latentry; latentry.request_schema(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_every_option_of_the_host_is_in_its_schemas() -> None:
    host = toy_host()
    found = schemas(host)
    assert constants(found) == []
    assert set(found) == {"request", "memory", *TARGETS}
    for kind in TARGETS:
        assert set(found[kind]) == set(getattr(host, kind))
    assert option_schema(host, "sigma_schedules", "karras") == found["sigma_schedules"]["karras"]


def test_infinity_is_a_word_that_a_request_reads() -> None:
    schema = strict({"type": "number", "minimum": 1.0, "exclusiveMaximum": math.inf, "default": math.inf, "title": "T"})
    assert schema == {
        "title": "T",
        "anyOf": [{"type": "number", "minimum": 1.0}, {"const": "Infinity"}],
        "default": "Infinity",
    }
    request = GenerationRequest(prompt="a", scheduler_options={"churn_max": "Infinity"})
    assert request.scheduler_options == {"churn_max": math.inf}
