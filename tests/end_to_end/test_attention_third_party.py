"""Attention backends of third parties, built and installed with pip: one in order, three that are broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.commandline import clean_environment
from support.distributions import Distribution, Site, install
from support.models import write_stable_diffusion
from support.models_flux import write_flux
from support.models_sd3 import write_stable_diffusion_3
from support.models_sdxl import write_stable_diffusion_xl

pytestmark = pytest.mark.slow

FAMILIES: dict[str, Callable[[Path], Path]] = {
    "sd": write_stable_diffusion,
    "sdxl": write_stable_diffusion_xl,
    "sd3": write_stable_diffusion_3,
    "flux": write_flux,
}

MINE = """
from latentry import AttentionBackendSpec, hookimpl

@hookimpl
def latentry_attention_backends():
    yield AttentionBackendSpec(
        name="mine",
        target="latentry_attention_mine.code:Mine",
        summary="softmax of a product",
        devices=frozenset({"cpu", "cuda"}),
        dtypes=frozenset({"float32"}),
    )
"""
CODE = """
import torch
from latentry.attention import masked_rows, score_bias

class Mine:
    calls = 0

    def probe(self):
        return None

    def attend(self, q, k, v, *, mask=None, scale=None, causal=False):
        Mine.calls += 1
        scores = q @ k.transpose(-1, -2) * (scale or q.shape[-1] ** -0.5)
        bias = score_bias(q, k, mask=mask, causal=causal)
        scores = scores if bias is None else scores + bias
        return torch.softmax(scores, dim=-1).masked_fill(masked_rows(scores), 0) @ v
"""


def broken(name: str, rank: int, code: str) -> Distribution:
    """A backend that would be the first choice."""
    record = f"""
        from latentry import AttentionBackendSpec, hookimpl

        @hookimpl
        def latentry_attention_backends():
            yield AttentionBackendSpec(
                name="{name}", target="latentry_attention_{name}.code:Backend", summary="For a test.", rank={rank},
                devices=frozenset({{"cpu"}}), dtypes=frozenset({{"float32"}}),
            )
    """
    return Distribution(f"latentry-attention-{name}", record, {"code.py": code})


BROKEN = (
    broken("torn", 103, 'raise ImportError("undefined symbol: _ZN3c104cuda")'),
    broken(
        "driverless",
        102,
        """
        class Backend:
            def probe(self):
                raise OSError("libcudart.so.12: cannot open shared object file")
        """,
    ),
    broken(
        "falling",
        101,
        """
        class Backend:
            def probe(self):
                return None
            def attend(self, q, k, v, **options):
                raise RuntimeError("CUDA error: no kernel image is available")
        """,
    ),
)

RUN = """
import json, sys
import torch
from torch.nn.modules.module import register_module_forward_pre_hook
from latentry import Engine, GenerationRequest, LatentryError, PluginHost
from latentry_attention_mine.code import Mine
from support.bare import KINDS

torch.set_num_threads(1)
ran = []
register_module_forward_pre_hook(lambda module, _: ran.append(1) if type(module).__name__ in KINDS else None)
found = {}
for family, folder in json.loads(sys.argv[1]).items():
    engine = Engine(PluginHost())
    def draw(attention):
        request = GenerationRequest(
            prompt="a red circle", model=folder, attention=attention, steps=3, seed=1, device="cpu", dtype="float32"
        )
        return engine.generate(request)
    Mine.calls = 0
    ran.clear()
    mine = draw("mine")
    served = [Mine.calls, len(ran)]
    native, auto = draw("native"), draw("auto")
    errors = {}
    for name in ("torn", "driverless", "falling"):
        try:
            draw(name)
        except LatentryError as error:
            errors[name] = str(error)
    found[family] = {
        "served": served,
        "after": Mine.calls - served[0],
        "difference": float((mine.latents - native.latents).abs().max() / native.latents.abs().max()),
        "plugin": mine.recipes[0].plugins["attention"].distribution,
        "auto": auto.recipes[0].request.attention,
        "notes": auto.notes,
        "errors": errors,
    }
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """This Python, with the four distributions besides."""
    mine = Distribution("latentry-attention-mine", MINE, {"code.py": CODE})
    path = clean_environment()["PYTHONPATH"].split(":")
    return Site((install(tmp_path_factory.mktemp("third"), mine, *BROKEN), *map(Path, path)))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A tiny folder of each family."""
    root = tmp_path_factory.mktemp("families")
    return {family: str(write(root / family)) for family, write in FAMILIES.items()}


@pytest.fixture(scope="module")
def found(site: Site, models: dict[str, str]) -> dict[str, Any]:
    """What one fresh process saw in each family."""
    done = site.run("-c", RUN, json.dumps(models), HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def test_a_backend_takes_thirty_lines() -> None:
    assert len((MINE + CODE).strip().splitlines()) <= 30


@pytest.mark.parametrize("family", FAMILIES)
def test_a_third_partys_backend_serves_every_layer(family: str, found: dict[str, Any]) -> None:
    report = found[family]
    calls, layers = report["served"]
    assert calls == layers > 0
    assert report["after"] == 0
    assert report["difference"] < 1e-4
    assert report["plugin"] == "latentry-attention-mine"


@pytest.mark.parametrize("family", FAMILIES)
def test_generation_works_with_broken_packages_and_notes_them(family: str, found: dict[str, Any]) -> None:
    report = found[family]
    assert report["auto"] == "latentry-attention-sdpa:sdpa"
    told = "\n".join(report["notes"])
    for name, words in (
        ("torn", "ImportError: undefined symbol"),
        ("driverless", "OSError: libcudart.so.12"),
        ("falling", "RuntimeError: CUDA error: no kernel image"),
    ):
        assert f"'{name}' is not used" in told
        assert words in told
        assert words in report["errors"][name]


def test_the_command_line_draws_and_says_what_is_broken(site: Site, models: dict[str, str], tmp_path: Path) -> None:
    output = tmp_path / "a.png"
    done = site.latentry("generate", "a", "--model", models["sd"], "--steps", "2", "--output", str(output))
    assert done.returncode == 0, done.stderr
    assert output.is_file()
    assert done.stdout == f"{output}\n"
    for name in ("torn", "driverless", "falling"):
        assert done.stderr.count(f"note: The attention backend '{name}' is not used.") == 1
    assert done.stderr.count("is not used") == 3
    listed = json.loads(site.latentry("attention", "--json").stdout)
    assert {"torn", "driverless", "falling", "mine", "sdpa"} <= {record["name"] for record in listed}
    assert {(record["available"], record["reason"]) for record in listed} == {(None, "")}  # none has been asked
    records = json.loads(site.latentry("attention", "--probe", "--json").stdout)
    available = {record["name"]: record["available"] for record in records}
    assert [available[name] for name in ("torn", "driverless")] == [False] * 2  # "falling" fails only when it is used
    assert [available[name] for name in ("mine", "sdpa")] == [True] * 2
    reasons = {record["name"]: record["reason"] for record in records}
    assert "undefined symbol" in reasons["torn"]
    assert "libcudart.so.12" in reasons["driverless"]
    assert reasons["mine"] == reasons["sdpa"] == ""
