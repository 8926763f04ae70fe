"""What serving engines ask of a scheduler: vllm-omni's proposal (PR 6277) and sglang 0.5.23, by their interfaces."""

from __future__ import annotations

import copy
import inspect
import sys
import tomllib
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor

from latentry_bridge_diffusers import LatentryFlowScheduler, scheduler

STOCK = FlowMatchEulerDiscreteScheduler(shift=3.0)
DYNAMIC = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
SIGMAS = [1.0, 0.8, 0.6, 0.4, 0.2]
UNEVEN = [1.0, 0.9, 0.6, 0.4, 0.2]


def _loop(made: Any, x: Tensor, first: int = 0) -> Tensor:
    for t in made.timesteps[first:]:
        x = made.step(torch.tanh(x) * 0.3 + 0.01 * x * (t / 1000), t, x, return_dict=False, generator=None)[0]
    return x


def _x() -> Tensor:
    return torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))


def test_the_entry_point_is_the_class() -> None:
    (found,) = entry_points(group="vllm_omni.schedulers", name="latentry")
    assert found.load() is LatentryFlowScheduler


@pytest.mark.parametrize(("stock", "mu"), [(STOCK, None), (DYNAMIC, 0.8)], ids=["fixed shift", "shift from the size"])
@pytest.mark.parametrize("name", ["unipc", "dpmpp-2m", "euler"])
def test_made_from_a_checkpoints_configuration_it_is_the_bridges_own(name: str, stock: Any, mu: float | None) -> None:
    made = LatentryFlowScheduler.from_config(stock.config, scheduler=name, sigmas="trailing")
    own = scheduler(name, stock, sigmas="trailing")
    for each in (made, own):
        each.set_timesteps(sigmas=SIGMAS, mu=mu, device="cpu")
        each.set_begin_index(0)
    assert torch.equal(made.timesteps, own.timesteps)
    assert torch.equal(_loop(made, _x()), _loop(own, _x()))


def test_one_copy_for_each_request_leaves_the_template_alone() -> None:
    template = LatentryFlowScheduler.from_config(STOCK.config, scheduler="unipc")
    ends = []
    for count in (4, 6, 4):
        made = copy.deepcopy(template)
        made.set_timesteps(count)
        ends.append(_loop(made, _x()))
    assert torch.equal(ends[0], ends[2]) and not torch.equal(ends[0], ends[1])
    assert len(template.timesteps) == 0
    made.set_timesteps(6)
    x = made.step(_x(), made.timesteps[0], _x(), return_dict=False)[0]
    assert torch.equal(_loop(copy.deepcopy(made), x, 1), _loop(made, x, 1))


def test_sglang_makes_it_of_the_keys_that_it_takes_and_sets_the_shift() -> None:
    """It drops keys that the constructor does not name, reads three attributes, and may call ``set_shift``."""
    config = {**STOCK.config, "a_key_of_a_distilled_checkpoint": 1}
    taken = inspect.signature(LatentryFlowScheduler.__init__).parameters
    made = LatentryFlowScheduler(**{key: value for key, value in config.items() if key in taken}, scheduler="euler")
    assert (made.num_train_timesteps, made.order, len(made.timesteps)) == (1000, 1, 0)
    assert {"sigmas", "timesteps"} <= inspect.signature(made.set_timesteps).parameters.keys()
    made.set_shift(5.0)
    made.set_timesteps(sigmas=SIGMAS)
    shifted = torch.tensor([5.0 * s / (1.0 + 4.0 * s) for s in SIGMAS])
    assert torch.allclose(made.timesteps, 1000 * shifted, rtol=1e-5)
    assert torch.equal(made.scale_model_input(_x(), made.timesteps[0]), _x())


def test_it_is_saved_and_loaded(tmp_path: Any) -> None:
    made = LatentryFlowScheduler.from_config(STOCK.config, scheduler="unipc", scheduler_options={"order": 1})
    made.save_pretrained(tmp_path)
    again = LatentryFlowScheduler.from_pretrained(tmp_path)
    for each in (made, again):
        each.set_timesteps(5)
    assert again.config["process"] == "flow"
    assert torch.equal(_loop(made, _x()), _loop(again, _x()))


class _Registry:
    """As much of sglang's hook registry (0.5.23) as a plugin calls."""

    hooks: ClassVar[list[tuple[str, Any, Any]]] = []

    @classmethod
    def register(cls, target: str, hook: Any, hook_type: Any) -> None:
        cls.hooks.append((target, hook, hook_type))


def test_sglangs_entry_replaces_what_its_loader_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    group = "sglang.multimodal_gen.plugins"
    plugin = EntryPoint("latentry", project["entry-points"][group]["latentry"], group).load()
    monkeypatch.setattr(_Registry, "hooks", hooks := [])
    module = "sglang.multimodal_gen.runtime.platforms.plugins"
    kinds = SimpleNamespace(AFTER="after")
    monkeypatch.setitem(sys.modules, module, SimpleNamespace(HookRegistry=_Registry, HookType=kinds))  # type: ignore[misc]
    monkeypatch.delenv("LATENTRY_SGLANG_SCHEDULER", raising=False)
    plugin()
    assert hooks == []
    monkeypatch.setenv("LATENTRY_SGLANG_SCHEDULER", "DPM++ 2M")
    plugin()
    ((target, hook, kind),) = hooks
    assert (target.rpartition(".")[2], kind) == ("load_customized", "after")
    for shift in (None, 5.0):
        settings = SimpleNamespace(pipeline_config=SimpleNamespace(flow_shift=shift))
        made = hook(STOCK, object(), "a/scheduler", settings)
        assert made.config["scheduler"] == "latentry-dpmpp:dpmpp-2m"
        made.set_timesteps(sigmas=UNEVEN)
        factor = shift or 3.0
        assert torch.allclose(
            made.timesteps, torch.tensor([1000 * factor * s / (1 + (factor - 1) * s) for s in UNEVEN])
        )
