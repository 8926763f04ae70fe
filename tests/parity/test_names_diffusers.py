"""What a name of diffusers resolves to here, against the class of that name, run here.

Every class is set up as ``Class.from_config`` does it on Stable Diffusion's configuration (EDM's on their own
defaults); ours is scheduler, options, sigma schedule and ending as the name gives them, nothing by hand. These are the
names of which the records say that nothing differs, or not here.
"""

from __future__ import annotations

import pytest
import torch
from support.named import WITHIN, apart, laid_out, made
from support.peer_runs import Patch, whole

from latentry import PluginHost
from latentry._peers._names import understand

pytestmark = pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")  # diffusers' KDPM2 under numpy 2

X_BAR = (
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "HeunDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler",
    "LMSDiscreteScheduler",
)
"""Those that keep x/α, and interpolate σ/α between whole timesteps."""
OWN_X = (
    "DDIMScheduler",
    "DDIMParallelScheduler",
    "DDPMScheduler",
    "DDPMParallelScheduler",
    "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "EDMDPMSolverMultistepScheduler",
    "EDMEulerScheduler",
    "LCMScheduler",
    "PNDMScheduler",
    "SASolverScheduler",
    "UniPCMultistepScheduler",
)


@pytest.mark.parametrize("steps", [4, 10])
@pytest.mark.parametrize("name", X_BAR)
def test_a_name_gives_its_classs_result_where_timesteps_are_whole(
    host: PluginHost, patch: Patch, name: str, steps: int
) -> None:
    assert 999 % (steps - 1) == 0
    assert apart(host, patch, name, steps, native=False) < WITHIN
    assert not understand(host, name).notes


@pytest.mark.parametrize("name", X_BAR)
def test_between_whole_timesteps_levels_differ_by_the_interpolation(host: PluginHost, name: str) -> None:
    """diffusers' is linear in σ/α, ours in the angle, which is finite at both ends."""
    peer = made(name)
    peer.set_timesteps(20)
    assert not whole(peer.timesteps)
    plan = laid_out(host, understand(host, name), peer, 20)
    boundaries = sorted({float(s) for s in peer.sigmas}, reverse=True)
    steps = [point.s for point in plan.points[:-1]]
    nearest = [min(boundaries, key=lambda b, s=s: abs(b - s)) for s in steps]  # type: ignore[misc]
    far = max(abs(a / b - 1) for a, b in zip(steps, nearest, strict=True))
    assert 1e-6 < far < 2e-4


@pytest.mark.parametrize("steps", [5, 10, 14])
@pytest.mark.parametrize("name", OWN_X)
def test_a_name_gives_its_classs_result(host: PluginHost, patch: Patch, name: str, steps: int) -> None:
    config = {"tau_func": lambda t: torch.tensor(1.0 if 200 <= t <= 800 else 0.0)} if "SASolver" in name else {}
    assert apart(host, patch, name, steps, native=True, **config) < WITHIN
