"""Apple's GPUs have no float64: with float32 latents nothing in the numerics puts any on the device.

A dispatch mode stands in for such a device: it refuses every float64 tensor there, of any operation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from latentry import BrownianNoise, KeyedNoise, NoiseSource, PluginHost, VariancePreserving
from latentry.solvers import DynamicThreshold
from latentry.testing import Subject
from latentry.testing._checks._accuracy._arrival import descent
from latentry.testing._networks._processes import process
from latentry_ddim import DDIM
from latentry_heun import Heun

HOST = PluginHost()
COPIES = {torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default}
"""What may have a tensor on the CPU beside one on the device."""
READ = torch.ops.aten._local_scalar_dense.default


class WithoutFloat64(TorchDispatchMode):
    """Refuses float64 tensors on a device, as arguments and as results, and factors that are tensors on the CPU."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self._device = device

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        # meta tensors have no values; this one is an error estimate within the tolerance
        unread = function is READ and args[0].device.type == "meta"
        result = 0.5 if unread else function(*args, **(kwargs or {}))
        values = [value for value in tree_leaves((args, kwargs, result)) if isinstance(value, Tensor)]
        there = [value for value in values if value.device.type == self._device]
        if any(value.dtype == torch.float64 for value in there):
            raise TypeError(f"{function}: float64 on a device that does not have it")
        if there and len(there) < len(values) and function not in COPIES:
            raise TypeError(f"{function}: a tensor on the CPU with one on the device")
        return result


def test_the_stand_in_refuses_what_such_a_device_refuses() -> None:
    with WithoutFloat64("meta"):
        torch.zeros(2, dtype=torch.float64).to(torch.float32).to("meta")
        for wrong in (
            lambda: torch.zeros(2, dtype=torch.float64, device="meta"),
            lambda: torch.zeros(2, dtype=torch.float64).to("meta"),
            lambda: torch.zeros(2, device="meta").double(),
        ):
            with pytest.raises(TypeError, match="float64"):
                wrong()
        with pytest.raises(TypeError, match=r"a tensor on the CPU|unsupported operand"):
            torch.mul(torch.zeros(2, device="meta"), torch.tensor(2.0))


@pytest.mark.parametrize("source", [KeyedNoise, BrownianNoise])
@pytest.mark.parametrize("name", sorted(HOST.schedulers))
def test_no_scheduler_puts_float64_on_the_device(name: str, source: Callable[..., NoiseSource]) -> None:
    """Under every set of options that its record names, on every process; half-precision latents too."""
    subject = Subject.of(name, host=HOST)
    batch = 1 if subject.spec.adaptive else 2  # an adaptive scheduler takes one sample at a time
    for case in subject.cases:
        for kind in subject.spec.processes:
            plan = descent(case, process(kind), 4)
            hooked = type(plan)(plan.scheduler, plan.process, plan.prediction, plan.points, (DynamicThreshold(),))
            for each, dtype in ((plan, torch.float32), (hooked, torch.float16)):
                with WithoutFloat64("meta"):
                    run = each.start(
                        torch.empty(batch, 3, 4, device="meta", dtype=dtype), noise=source(5, range(batch))
                    )
                    while (query := run.query) is not None:
                        output = torch.empty_like(query.input)
                        run.advance(output, uncond=output if "uncond" in each.scheduler.needs else None)
                assert (run.sample.dtype, run.sample.device.type) == (torch.float32, "meta")


@pytest.mark.parametrize("scheduler", [DDIM(eta=1.0), Heun()], ids=repr)
def test_the_stepwise_interface_makes_none_either(scheduler: Any) -> None:
    """Here the host's memory itself is the device that has no float64."""
    built = scheduler.build(6)
    x = torch.ones(2, 3)
    with WithoutFloat64("cpu"):
        assert built.add_noise(x, x, built.timesteps[:2]).dtype == torch.float32
        assert built.add_noise(x, x, torch.tensor([901, 1])).dtype == torch.float32
        for timestep in built.timesteps:
            x = built.step(built.scale_model_input(x, timestep) * 0.5, timestep, x)
    assert x.dtype == torch.float32


def test_noise_is_added_at_the_exact_level_of_a_fractional_timestep() -> None:
    built, x = DDIM().build(6), torch.ones(1, 2, dtype=torch.float64)
    level = VariancePreserving.from_betas().at(timestep=333.3)
    assert torch.equal(built.add_noise(x, 2 * x, 333.3), level.mix(x, 2 * x))


def test_latents_of_float64_stay_float64() -> None:
    run = descent(Subject.of("ddim", host=HOST).cases[0], process("vp"), 2).start(torch.ones(1, 2, dtype=torch.float64))
    assert run.query is not None
    assert run.query.x.dtype == torch.float64
