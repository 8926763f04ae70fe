"""N asked-for steps are N steps, whatever is installed: none is empty, and a single one makes a picture."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from latentry import IncompatibleError, OptionError, PluginHost, ProcessKind
from latentry.testing import GaussianOracle, Subject, drive
from latentry.testing._default_plans import default_plan, preferred
from latentry.testing._networks._processes import NATURAL, process
from latentry_ddim import DDIM

HOST = PluginHost()
KINDS = get_args(ProcessKind)
MEAN = torch.tensor([[1.5, -0.7, 0.2]], dtype=torch.float64)


@pytest.mark.parametrize("final", ["zero", "table"])
@pytest.mark.parametrize("name", sorted(HOST.sigma_schedules))
def test_every_schedule_lays_out_as_many_steps_as_were_asked_for(name: str, final: str) -> None:
    rule = HOST.sigma_schedules.create(name)
    counted = 0
    for kind in HOST.sigma_schedules[name].processes:
        on = process(kind)
        for steps in (1, 2, 3, 20, 50):
            try:
                plan = DDIM().plan(steps, process=on, prediction=NATURAL[kind], sigmas=rule, final=final)  # type: ignore[arg-type]
            except IncompatibleError:  # a table that was made for another checkpoint
                continue
            except OptionError:
                assert steps in (1, 2)
                continue
            assert (len(plan), plan.evaluations) == (steps, steps), (kind, steps)
            counted += 1
    assert counted >= 3


@pytest.mark.parametrize("name", sorted(HOST.sigma_schedules))
def test_the_stepwise_interface_has_as_many_timesteps(name: str) -> None:
    if "vp" in HOST.sigma_schedules[name].processes:
        assert len(DDIM().build(20, sigmas=HOST.sigma_schedules.create(name)).timesteps) == 20


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", sorted(HOST.schedulers))
def test_a_single_step_on_the_default_grid_gives_the_data(name: str, kind: ProcessKind) -> None:
    """Where the data is one point, its x₀ is that point; what is left of the start is the noise of the last level."""
    subject, on = Subject.of(name, host=HOST), process(kind)
    preference = preferred(subject, 1, on) if kind in subject.spec.processes else None
    if preference is None:
        pytest.skip("made for another process")
    plan = default_plan(subject, preference, 1, on)
    x = plan.noise_scale() * torch.tensor([[1.0, -1.0, 2.0]], dtype=torch.float64)
    end = drive(plan, x, GaussianOracle(MEAN, 0.0).answer)
    assert float((end - MEAN).abs().max()) < 0.1
