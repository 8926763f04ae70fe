"""The pack in a stand-in of ComfyUI: samplers on each kind of model, sigmas, lists, and what is refused."""

from __future__ import annotations

import asyncio
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from support import comfyui
from torch import Tensor

from latentry import (
    EDM,
    Flow,
    IncompatibleError,
    OptionError,
    Plan,
    PluginHost,
    Prediction,
    Process,
    VariancePreserving,
)
from latentry.testing import MixtureOracle
from latentry_bridge_comfyui import add_to_ksampler, comfy_entrypoint

HOST, DATA = PluginHost(), MixtureOracle()
VP = VariancePreserving.from_betas()
TABLE = torch.tensor([VP.at(timestep=t).s for t in range(1000)])
TIMES = torch.tensor([3.0 * t / (1.0 + 2.0 * t) for t in torch.linspace(0.001, 1.0, 1000).tolist()])
SAMPLINGS: dict[str, tuple[Any, Process]] = {
    "EPS": (comfyui.EPS(TABLE), EDM()),
    "V_PREDICTION": (comfyui.V_PREDICTION(TABLE), EDM()),
    "EDM": (comfyui.EDM(torch.tensor([0.002, 80.0])), EDM()),
    "CONST": (comfyui.CONST(TIMES), Flow()),
}
LEVELS = {"EPS": (14.6, 4.0, 1.0, 0.3, 0.0), "CONST": (1.0, 0.8, 0.5, 0.2, 0.0)}
PLAIN = [name for name in HOST.schedulers if not (HOST.schedulers[name].needs or HOST.schedulers[name].adaptive)]


@pytest.fixture(autouse=True, scope="module")
def comfy() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        comfyui.install(patch)
        yield


@pytest.fixture(scope="module")
def nodes(comfy: None) -> dict[str, Any]:
    """All nodes by their names; making them takes longer than drawing with one."""
    return _nodes()


def _nodes() -> dict[str, Any]:
    async def listed() -> list[Any]:
        extension = await comfy_entrypoint()
        await extension.on_load()
        return await extension.get_node_list()  # type: ignore[no-any-return]

    return {node.define_schema().node_id: node for node in asyncio.run(listed())}


def _predict(process: Process) -> Any:
    """x₀ of an exact network, each channel pair of a pixel being a point of the mixture."""

    def predict(x: Tensor, sigma: Tensor) -> Tensor:
        assert sigma.shape == (len(x),)
        flat = x.permute(0, 2, 3, 1).double()
        return DATA.predict(flat, process.customary(float(sigma[0])))[0].permute(0, 3, 1, 2).to(x.dtype)

    return predict


def _noise(rows: int = 2) -> Tensor:
    return torch.randn(rows, 2, 3, 3, generator=torch.Generator().manual_seed(4))


def _drawn(sampler: Any, kind: str, *, latent: Tensor | None = None, levels: Any = None, **given: Any) -> Tensor:
    sampling, process = SAMPLINGS[kind]
    model = comfyui.Guided(sampling, _predict(process), given.pop("scale", 1.0))
    noise = given.pop("noise", _noise())
    levels = levels or LEVELS["CONST" if kind == "CONST" else "EPS"]
    extra = {"seed": 7, "model_options": {}}
    start = torch.zeros_like(noise) if latent is None else latent
    return sampler.sample(model, torch.tensor(levels), extra, given.pop("callback", None), noise, start, **given)  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", SAMPLINGS)
@pytest.mark.parametrize("name", ["euler", "unipc", "heun", "dpmpp-2m-sde", "tcd"])
def test_a_node_draws_what_the_schedulers_own_run_draws(nodes: dict[str, Any], name: str, kind: str) -> None:
    _, process = SAMPLINGS[kind]
    sampler = nodes["LatentrySampler"].execute(name).args[0]
    got = _drawn(sampler, kind)
    levels = LEVELS["CONST" if kind == "CONST" else "EPS"]
    on = VP if name == "tcd" and kind != "CONST" else process
    plan = Plan(HOST.schedulers.create(name), on, Prediction.X0, tuple(on.customary(s) for s in levels))
    start = SAMPLINGS[kind][0].noise_scaling(torch.tensor(levels[0]), _noise(), 0.0)
    run, predict = plan.start(start * (1.0 if kind == "CONST" else plan.points[0].alpha), seed=7), _predict(process)
    while (query := run.query) is not None:
        scale, level = (1.0, query.point.sigma) if kind == "CONST" else (query.point.alpha, query.point.s)
        run.advance(predict(query.x / scale, torch.full((2,), level)))
    assert torch.allclose(got, run.sample, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["EPS", "CONST"])
@pytest.mark.parametrize("name", PLAIN)
def test_every_scheduler_draws_in_every_mode(nodes: dict[str, Any], name: str, kind: str) -> None:
    """From noise, from a picture, and with a mask, which is kept exactly."""
    sampler = nodes["LatentrySampler"].execute(name).args[0]
    latent, mask = _noise() * 0.3, torch.zeros(1, 1, 3, 3)
    mask[..., :2] = 1.0
    levels = LEVELS["CONST" if kind == "CONST" else "EPS"]
    for given in ({}, {"latent": latent, "levels": levels[1:]}, {"latent": latent, "denoise_mask": mask}):
        got = _drawn(sampler, kind, **given)
        assert got.isfinite().all() and got.abs().max() < 30.0
    stochastic = HOST.schedulers[name].stochastic or name == "lcm"
    assert stochastic or torch.allclose(got[..., 2:], latent[..., 2:], atol=1e-3)


def test_the_fields_of_a_node_are_the_options_and_reach_the_scheduler(nodes: dict[str, Any]) -> None:
    assert len(nodes) == len(HOST.schedulers) + 2
    node = nodes["LatentrySampler_unipc"]
    fields = {field.id: field for field in node.define_schema().inputs}
    assert list(fields) == list(HOST.schedulers.load("unipc").model_fields)
    assert fields["order"].kind == "Int" and (fields["order"].default, fields["order"].min) == (
        HOST.schedulers.load("unipc").model_fields["order"].default,
        1,
    )
    given = {name: field.default for name, field in fields.items()}
    by_fields = _drawn(node.execute(**{**given, "order": 1}).args[0], "EPS")
    by_text = _drawn(nodes["LatentrySampler"].execute("unipc", '{"order": 1}').args[0], "EPS")
    assert torch.equal(by_fields, by_text)
    assert not torch.equal(by_fields, _drawn(node.execute(**given).args[0], "EPS"))


def test_every_nodes_defaults_are_taken(nodes: dict[str, Any]) -> None:
    for name, node in nodes.items():
        schema = node.define_schema()
        assert schema.category.startswith("sampling/latentry") and schema.display_name
        if name.startswith("LatentrySampler_"):
            node.execute(**{field.id: field.default for field in schema.inputs})


def test_cfg_pp_gets_the_unguided_answer_even_at_scale_one(nodes: dict[str, Any]) -> None:
    sampler = nodes["LatentrySampler"].execute("ddim-cfgpp").args[0]
    for scale in (1.0, 0.6):
        got = _drawn(sampler, "EPS", scale=scale)
        assert got.isfinite().all()
    assert not torch.allclose(_drawn(sampler, "EPS", scale=1.0), got)


def test_previews_and_interrupts(nodes: dict[str, Any]) -> None:
    seen: list[tuple[int, int]] = []
    sampler = nodes["LatentrySampler"].execute("heun").args[0]
    _drawn(sampler, "EPS", callback=lambda step, x0, x, total: seen.append((step, total)))
    assert seen == [(i, 4) for i in range(4)]

    class Interrupted(Exception):
        pass

    def stop(step: int, x0: Tensor, x: Tensor, total: int) -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        _drawn(sampler, "EPS", callback=stop)


def test_each_picture_of_a_batch_has_noise_of_its_own(nodes: dict[str, Any]) -> None:
    """The first of two is what it is alone."""
    sampler = nodes["LatentrySampler"].execute("euler-ancestral").args[0]
    both = _drawn(sampler, "EPS")
    assert torch.allclose(both[:1], _drawn(sampler, "EPS", noise=_noise()[:1]), atol=1e-5)
    same = _drawn(sampler, "EPS", noise=_noise()[:1].repeat(2, 1, 1, 1))
    assert not torch.allclose(same[0], same[1])


@pytest.mark.parametrize("name", sorted(HOST.sigma_schedules))
@pytest.mark.parametrize("kind", ["EPS", "CONST"])
def test_sigmas_are_the_schedules_own_levels(nodes: dict[str, Any], name: str, kind: str) -> None:
    sampling, process = SAMPLINGS[kind]
    process = VP if kind == "EPS" else process
    if process.kind not in HOST.sigma_schedules[name].processes:
        pytest.skip(f"{name} is not for {process.kind}")
    model = type("Patcher", (), {"get_model_object": staticmethod(lambda _: sampling)})
    node = nodes["LatentrySigmas"]
    got = node.execute(model, name, 6, 1.0).args[0]
    absolute = HOST.sigma_schedules.load(name).absolute
    options = {"shift": 3.0} if kind == "CONST" and not absolute else {}
    points = HOST.sigma_schedules.create(name, **options).points(6, process)
    expected = [*((p.sigma if kind == "CONST" else p.s) for p in points), 0.0]
    assert got.dtype == torch.float32 and got.device.type == "cpu"
    assert torch.allclose(got, torch.tensor(expected), rtol=2e-3)
    part = node.execute(model, name, 3, 0.5).args[0]
    assert len(part) == 4 and torch.allclose(part, got[-4:], rtol=1e-4)


def test_the_opt_in_adds_them_to_ksamplers_lists_once(monkeypatch: pytest.MonkeyPatch) -> None:
    comfyui.install(monkeypatch)  # lists of its own, which it changes
    import comfy.k_diffusion.sampling as functions
    from comfy import samplers

    _nodes()
    assert samplers.KSampler.SAMPLERS == ["euler"]
    monkeypatch.setenv("LATENTRY_COMFYUI_KSAMPLER", "1")
    for _ in range(2):
        _nodes()
    add_to_ksampler()
    names = samplers.KSampler.SAMPLERS
    assert len(names) == len(set(names)) and "latentry_unipc" in names and "latentry_dpm_adaptive" not in names
    assert names == samplers.KSAMPLER_NAMES
    got = _drawn(comfyui.KSAMPLER(functions.sample_latentry_unipc), "EPS")
    assert torch.equal(got, _drawn(_nodes()["LatentrySampler"].execute("unipc").args[0], "EPS"))
    handler = samplers.SCHEDULER_HANDLERS["latentry_karras"]
    assert handler.use_ms and len(handler.handler(SAMPLINGS["EPS"][0], 5)) == 6
    assert "latentry_karras" in samplers.KSampler.SCHEDULERS


def test_what_cannot_be_done_is_refused(nodes: dict[str, Any]) -> None:
    node = nodes["LatentrySampler"]
    with pytest.raises(OptionError):
        node.execute("unipc", '{"no_such": 1}')
    with pytest.raises(OptionError, match="JSON"):
        node.execute("unipc", "order=3")
    sampler = node.execute("dpm-adaptive").args[0]
    with pytest.raises(IncompatibleError, match="one sample at a time"):
        _drawn(sampler, "EPS")
    assert _drawn(sampler, "EPS", noise=_noise(1)).shape == (1, 2, 3, 3)
    model = comfyui.Guided(comfyui.IMG_TO_IMG(TABLE), _predict(EDM()))
    model.inner_model.model_patcher.get_model_object = lambda name: type(
        "Other", (), {"sigma_max": 1.0, "noise_scaling": lambda *a: a[2]}
    )()
    with pytest.raises(IncompatibleError, match="neither x₀"):
        node.execute("euler").args[0].sampler_function(model, _noise(), torch.tensor([1.0, 0.0]))


def test_the_folder_that_comfyui_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["latentry_bridge_comfyui", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("latentry_bridge_comfyui", run_name="__main__")
    assert ended.value.code == 0
    found = runpy.run_path(str(tmp_path / "latentry" / "__init__.py"))
    assert found["comfy_entrypoint"] is comfy_entrypoint
