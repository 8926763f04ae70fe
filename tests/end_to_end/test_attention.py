"""Attention backends in every family: who serves, that it is right, that it is put back, and what is said when not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from support.bare import KINDS
from support.commandline import CommandLine
from support.models import PROMPT, write_stable_diffusion
from support.models_flux import write_flux
from support.models_flux2 import write_flux2
from support.models_qwen_image import write_qwen_image
from support.models_sd3 import write_stable_diffusion_3
from support.models_sdxl import write_stable_diffusion_xl
from support.models_z_image import write_z_image
from support.toy import PLUGIN
from torch import Tensor
from torch.nn.modules.module import register_module_forward_pre_hook

from latentry import Engine, GenerationRequest, IncompatibleError, PluginHost

pytestmark = pytest.mark.slow  # many that add up

FAMILIES: dict[str, Callable[[Path], Path]] = {
    "sd": write_stable_diffusion,
    "sdxl": write_stable_diffusion_xl,
    "sd3": write_stable_diffusion_3,
    "flux": write_flux,
    "flux2": write_flux2,
    "flux2-dev": partial(write_flux2, kind="dev"),
    "qwen-image": write_qwen_image,
    "z-image": write_z_image,
}
BACKENDS: dict[str, dict[str, dict[str, Any]]] = {
    "sdpa": {},
    "sdpa, flash": {"sdpa": {"kernel": "flash"}},
    "sdpa, math": {"sdpa": {"kernel": "math"}},
    "sliced": {"sliced": {"size": 7}},
    "sliced, heads": {"sliced": {"by": "heads", "size": 1}},
    "flex": {},
}
"""Those that run on a CPU, with their options."""


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(PluginHost(plugin_dirs=[PLUGIN.parent / "reference.py"]))


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a tiny model of each family."""
    return str(FAMILIES[request.param](tmp_path_factory.mktemp("families") / request.param))


def wanted(model: str, **settings: Any) -> GenerationRequest:
    common: dict[str, Any] = {"steps": 10, "seed": 5, "device": "cpu", "dtype": "float32", "guidance": None}
    return GenerationRequest(prompt=PROMPT, model=model, **(common | settings))


@contextmanager
def counted() -> Iterator[list[str]]:
    """The classes of the attention layers that run, whoever serves them."""
    ran: list[str] = []
    hook = register_module_forward_pre_hook(
        lambda module, _: ran.append(type(module).__name__) if type(module).__name__ in KINDS else None
    )
    try:
        yield ran
    finally:
        hook.remove()


@pytest.fixture(scope="module")
def references(engine: Engine) -> Callable[[str], Tensor]:
    """Latents by the reference backend, once a family."""
    made: dict[str, Tensor] = {}

    def latents(model: str) -> Tensor:
        if model not in made:
            made[model] = engine.generate(wanted(model, attention="reference")).latents
        return made[model]

    return latents


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_layer_is_served_and_latents_agree_with_the_reference(
    engine: Engine,
    family: str,
    backend: str,
    references: Callable[[str], Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A difference of 1e-6 grows to less than 1e-4 over these steps."""
    name = backend.partition(",")[0]
    target, served = engine.host.attention_backends.load(name), []
    attend = target.attend
    monkeypatch.setattr(target, "attend", lambda *args, **rest: (served.append(1), attend(*args, **rest))[1])
    with counted() as ran:
        found = engine.generate(wanted(family, attention=name, attention_options=BACKENDS[backend])).latents
    assert len(served) == len(ran) > 0
    assert torch.allclose(found, references(family), atol=1e-3, rtol=1e-3)
    with counted() as ran:
        engine.generate(wanted(family, attention="native", steps=1))
    served_before = len(served)
    assert ran
    assert len(served) == served_before  # the default is back


def test_in_half_precision_backends_are_as_near_as_the_reference(
    engine: Engine, family: str, references: Callable[[str], Tensor]
) -> None:
    """Ten steps in bfloat16 are some way from those in float32: with any backend as far as with exact attention."""

    def distance(name: str) -> float:
        found = engine.generate(wanted(family, attention=name, dtype="bfloat16")).latents
        return float((found - references(family)).square().mean().sqrt())

    exact = distance("reference")
    for name in ("sdpa", "sliced"):
        assert distance(name) == pytest.approx(exact, rel=0.5)


def test_a_role_is_served_by_a_backend_of_its_own(engine: Engine, family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: dict[str, int] = {"sliced": 0, "sdpa": 0}
    for name in calls:
        target = engine.host.attention_backends.load(name)
        attend = target.attend

        def watched(*args: Any, name: str = name, attend: Any = attend, **rest: Any) -> Tensor:
            calls[name] += 1
            result: Tensor = attend(*args, **rest)
            return result

        monkeypatch.setattr(target, "attend", watched)
    with counted() as ran:
        result = engine.generate(wanted(family, attention="sdpa;vae=sliced", steps=1))
    assert calls == {"sliced": 1, "sdpa": len(ran) - 1}  # the decoder's mid block has one layer
    used = result.recipes[0].plugins
    assert used["attention"].name == "latentry-attention-sdpa:sdpa"
    assert used["attention 2"].name == "latentry-attention-sliced:sliced"
    assert result.recipes[0].request.attention == "latentry-attention-sdpa:sdpa;vae=latentry-attention-sliced:sliced"


def test_a_layer_that_a_backend_cannot_serve_is_refused_before_the_first_step(engine: Engine, tmp_path: Path) -> None:
    """The autoencoder's head is wider than flex takes."""
    model = str(write_stable_diffusion(tmp_path / "wide"))
    loaded: Any = engine.load(engine.prepare(wanted(model)))
    layer = next(module for module in loaded.vae.modules() if type(module).__name__ == "Attention")
    layer.heads, layer.inner_dim = 1, 512
    stages: list[str] = []
    with pytest.raises(IncompatibleError, match="flex:flex' cannot serve the vae attention") as caught:
        engine.generate(wanted(model, attention="flex"), progress=lambda event: stages.append(event.stage))
    assert "It supports head sizes up to 256, not 512." in caught.value.why
    assert stages == ["load"]


def test_the_command_line_takes_roles_and_options(latentry: CommandLine, tiny: Path, tmp_path: Path) -> None:
    settings = ["--model", tiny, "--steps", 2, "--attention", "vae=sliced", "--attention-set", "size=5"]
    done = latentry("generate", PROMPT, *settings, "--output", "a.png", folder=tmp_path)
    assert done.code == 0, done.err
    again = latentry("generate", "--from", "a.png", "--trust", "--output", "b.png", folder=tmp_path)
    assert again.code == 0, again.err
    shown = latentry("show", "b.png", "--json", folder=tmp_path).out
    assert "vae=latentry-attention-sliced:sliced" in shown
    assert '"size": 5' in shown
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["--attention", "mind=sdpa"], "no attention role 'mind'"),
        (["--attention", "joint=sdpa"], "no attention role 'joint' here"),
        (["--attention", "sdpa", "--attention-set", "colour=red"], "no option 'colour'|unexpected keyword"),
        (["--attention", "sdpa", "--attention-set", "kernel=warp"], "no attention kernel 'warp'"),
        (["--attention-set", "kernel=math"], "does not say which backend it is for"),
        (["--attention", "sdpa", "--attention-set", "sliced.size=3"], "have no effect"),
        (["--attention", "flash"], "no CUDA device|supports cuda"),
    ],
)
def test_what_is_typed_wrongly_is_told(
    latentry: CommandLine, tiny: Path, tmp_path: Path, typed: list[str], words: str
) -> None:
    done = latentry("generate", PROMPT, "--model", tiny, "--device", "cpu", *typed, folder=tmp_path)
    assert done.code == 2, done.err
    assert any(word in done.err for word in words.split("|")), done.err
    assert "Traceback" not in done.err
    assert not list(tmp_path.glob("*.png"))
