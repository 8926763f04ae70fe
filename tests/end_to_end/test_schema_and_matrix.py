"""`latentry schema` and `latentry matrix`: what programs are told about everything that is installed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.commandline import CommandLine
from support.scripts import script

from latentry import Flow, PluginHost, Prediction, Trailing, compatible


@pytest.fixture(scope="module")
def host() -> PluginHost:
    return PluginHost()


def properties(schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in schema["properties"].items():
        yield f"{schema['title']}.{name}", value


@pytest.mark.slow
def test_the_schemas_beside_the_code_are_those_of_the_code() -> None:
    """``python scripts/schemas.py --write`` renews them."""
    written: dict[Path, str] = script("schemas").written()
    assert [path for path, text in written.items() if not path.is_file() or path.read_text("utf-8") != text] == []


def test_all_schemas_need_no_torch() -> None:
    """But for bridges, which ask another program what it has."""
    bridges = "block=[f'latentry-bridge-{name}' for name in ('comfyui', 'diffusers', 'k-diffusion', 'webui')]"
    code = f"import sys, latentry as l; l.schemas(l.PluginHost({bridges})); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_every_option_is_strict_json_with_a_title_and_a_description(latentry: CommandLine, tmp_path: Path) -> None:
    done = latentry("schema", folder=tmp_path)
    assert done.code == 0, done.err
    constants: list[str] = []
    found = json.loads(done.out, parse_constant=constants.append)
    assert constants == []
    bare = [
        name
        for kind, by_name in found.items()
        if kind not in ("request", "memory")
        for schema in by_name.values()
        for name, value in properties(schema)
        if not (value.get("description") and value.get("title"))
    ]
    assert bare == []
    assert len(found["schedulers"]) == len(PluginHost().schedulers)


def test_one_schema_is_printed_alone(latentry: CommandLine, tmp_path: Path) -> None:
    one = json.loads(latentry("schema", "schedulers", "heun", folder=tmp_path).out)
    assert one["properties"]["churn_max"]["default"] == "Infinity"
    assert "prompt" in json.loads(latentry("schema", "request", folder=tmp_path).out)["properties"]
    assert "Unknown kind 'sampler'" in latentry("schema", "sampler", folder=tmp_path).err


RECOMMENDED = {
    ("sd15", "text-to-image"): ["ddim", "euler", "ddpm"],
    ("base", "text-to-image"): ["dpmpp-2m", "euler-ancestral"],
    ("dev", "text-to-image"): ["euler", "euler-ancestral"],
    ("sd15-inpainting", "inpainting"): ["ddpm", "ddim"],
    ("inpainting", "inpainting"): ["ddpm", "ddim"],
}
"""The compatibility table that this project began with."""


@pytest.mark.parametrize(("variant", "task"), RECOMMENDED)
def test_the_recommended_ones_come_first(host: PluginHost, variant: str, task: str) -> None:
    rows = [row for row in compatible(host, variant) if row.task == task]
    wanted = RECOMMENDED[variant, task]
    assert [row.scheduler for row in rows][: len(wanted)] == wanted
    assert [row.recommended for row in rows][: len(wanted)] == list(range(1, len(wanted) + 1))
    assert all(row.fits for row in rows[: len(wanted)])


def test_every_no_has_its_reason(latentry: CommandLine, tmp_path: Path) -> None:
    found = json.loads(latentry("matrix", "--json", folder=tmp_path).out)
    rows = [row for rows in found.values() for row in rows]
    assert rows
    assert [row for row in rows if row["fits"] == bool(row["why_not"])] == []
    said = latentry("matrix", "schnell", "--task", "text-to-image", folder=tmp_path).out
    assert "distilled to the levels of a few steps" in said
    assert [line.split()[2:5] for line in said.splitlines()[2:3]] == [["euler", "recommended", "1"]]


def test_schedulers_that_leave_the_grid_by_an_option_keep_to_it_without(host: PluginHost) -> None:
    """The other value of the option leaves it, so that the record names the right one."""
    other: dict[str, Any] = {"churn": 4.0, "skip_prk": False}
    laid_out: dict[str, Any] = {"process": Flow(), "prediction": Prediction.FLOW, "sigmas": Trailing()}
    seen = []
    for name in host.schedulers:
        for option in host.schedulers[name].off_grid_by:
            seen.append(name)
            assert host.schedulers.create(name).plan(8, **laid_out).off_grid is None
            assert host.schedulers.create(name, **{option: other[option]}).plan(8, **laid_out).off_grid is not None
    assert set(seen) >= {"euler", "heun", "pndm"}
