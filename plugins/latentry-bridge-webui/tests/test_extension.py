"""The extension in a stand-in of AUTOMATIC1111 and of Forge."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from support import webui
from torch import Tensor

from latentry import EDM, Flow, OptionError, PluginHost, VariancePreserving
from latentry.testing import MixtureOracle
from latentry_bridge_k_diffusion import sampler
from latentry_bridge_webui import register

HOST, DATA = PluginHost(), MixtureOracle()
VP = VariancePreserving.from_betas()
TABLES = {
    "vp": torch.tensor([VP.at(timestep=t).s for t in range(1000)]),
    "flow": torch.tensor([3.0 * t / (1.0 + 2.0 * t) for t in torch.linspace(0.001, 1.0, 1000).tolist()]),
}
LEVELS = {"vp": (14.6, 4.0, 1.0, 0.3, 0.0), "flow": (1.0, 0.8, 0.5, 0.2, 0.0)}
KEPT = [name for name in HOST.schedulers if not (HOST.schedulers[name].needs or HOST.schedulers[name].adaptive)]


@pytest.fixture(params=[False, True], ids=["AUTOMATIC1111", "Forge"])
def ui(request: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, module in webui.modules(forge=request.param).items():
        monkeypatch.setitem(sys.modules, name, module)
    register(HOST)
    return sys.modules["modules"]


def _model(kind: str) -> Any:
    """CFGDenoiser around a denoiser around the network: an exact one, on pairs of channels."""
    process = Flow() if kind == "flow" else EDM()

    class Denoiser:
        inner_model = SimpleNamespace(sigmas=TABLES[kind], inner_model=None)

        def __call__(self, x: Tensor, sigma: Tensor, cond: int) -> Tensor:
            assert cond == 1 and sigma.shape == (len(x),)
            flat = x.permute(0, 2, 3, 1).double()
            x0 = DATA.predict(flat, process.customary(float(sigma[0])))[0]
            return x0.permute(0, 3, 1, 2).to(x.dtype)

    return Denoiser()


def _drawn(ui: Any, name: str, kind: str = "vp", seeds: tuple[int, ...] = (1, 2), **given: Any) -> Tensor:
    data = ui.sd_samplers.all_samplers_map[f"Latentry {name}"]
    x = torch.stack([torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
    start = x * LEVELS[kind][0]
    made = data.constructor(None)
    return made.sample(_model(kind), start, torch.tensor(LEVELS[kind]), data.options, list(seeds), **given)  # type: ignore[no-any-return]


def test_the_lists_have_what_is_installed_once(ui: Any) -> None:
    register(HOST)  # again, as after Reload UI
    names = [data.name for data in ui.sd_samplers.all_samplers]
    assert names == ["Euler", *(f"Latentry {name}" for name in KEPT)]
    assert ui.sd_samplers.shown == names
    assert ui.sd_samplers.get_sampler_and_scheduler("Latentry unipc", "") is not None
    labels = [each.label for each in ui.sd_schedulers.schedulers]
    assert labels == ["Normal", *(f"Latentry {name}" for name in HOST.sigma_schedules)]
    assert ui.sd_schedulers.schedulers_map["latentry_karras"] is ui.sd_schedulers.schedulers_map["Latentry karras"]


def test_steps_are_counted_as_the_web_ui_counts_them(ui: Any) -> None:
    for data in ui.sd_samplers.all_samplers[1:]:
        spec = HOST.schedulers[data.name.removeprefix("Latentry ")]
        assert data.options.get("second_order", False) == (spec.evaluations > 1)
        assert data.options.get("brownian_noise", False) == spec.stochastic


@pytest.mark.parametrize("kind", TABLES)
def test_every_scheduler_draws(ui: Any, kind: str) -> None:
    for name in KEPT:
        got = _drawn(ui, name, kind)
        assert got.isfinite().all() and got.abs().max() < 30.0, name
        if not HOST.schedulers[name].stochastic:
            x = torch.stack([torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2)])
            made, levels = sampler(name, flow=kind == "flow"), torch.tensor(LEVELS[kind])
            assert torch.equal(got, made(_model(kind), x * LEVELS[kind][0], levels, {"cond": 1})), name


def test_each_pictures_noise_comes_from_its_own_seed(ui: Any) -> None:
    for name in ("euler-ancestral", "dpmpp-2m-sde", "seeds-2", "lcm"):
        both = _drawn(ui, name, seeds=(1, 2))
        assert torch.allclose(both[1:], _drawn(ui, name, seeds=(2,)), atol=1e-4), name
        assert not torch.allclose(both[0], both[1])


def test_interrupts_and_previews(ui: Any) -> None:
    told: list[int] = []
    _drawn(ui, "heun", callback=lambda d: told.append(d["i"]))
    assert told == [0, 1, 2, 3]

    def stop(_: Any) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        _drawn(ui, "heun", callback=stop)


@pytest.mark.parametrize("kind", TABLES)
def test_schedules_are_laid_out_on_the_models_own_table(ui: Any, kind: str) -> None:
    process = Flow() if kind == "flow" else VP
    for name in HOST.sigma_schedules:
        if process.kind not in HOST.sigma_schedules[name].processes:
            continue
        entry = ui.sd_schedulers.schedulers_map[f"Latentry {name}"]
        table = TABLES[kind]
        inner = _model(kind).inner_model
        got = entry.function(
            n=6, sigma_min=float(table[0]), sigma_max=float(table[-1]), inner_model=inner, device="cpu"
        )
        shift = {"shift": 3.0} if kind == "flow" and not HOST.sigma_schedules.load(name).absolute else {}
        points = HOST.sigma_schedules.create(name, **shift).points(6, process)
        expected = [*((point.sigma if kind == "flow" else point.s) for point in points), 0.0]
        assert torch.allclose(got, torch.tensor(expected), rtol=2e-3), name


def test_a_model_without_levels_is_refused(ui: Any) -> None:
    made = ui.sd_samplers.all_samplers_map["Latentry unipc"].constructor(None)
    with pytest.raises(OptionError, match="noise levels"):
        made.sample(SimpleNamespace(inner_model=None), torch.zeros(1, 2, 3, 3), torch.tensor([1.0, 0.0]), {}, [1])


def test_the_script_that_the_web_ui_runs(ui: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["latentry_bridge_webui", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("latentry_bridge_webui", run_name="__main__")
    assert ended.value.code == 0
    before = len(ui.sd_samplers.all_samplers)
    runpy.run_path(str(tmp_path / "latentry" / "scripts" / "latentry_samplers.py"))
    assert len(ui.sd_samplers.all_samplers) == before
