"""diffusers' flow schedulers by name: equal on equal levels, and what they do left to themselves."""

from __future__ import annotations

import pytest
import torch
from support.named import WITHIN, apart, laid_out, made, on_flow
from support.oracles import noise, relative
from support.peer_runs import DATA, SHAPE, Patch, draws, ours, start, theirs

from latentry import Flow, PluginHost
from latentry._peers._names import understand


@pytest.mark.parametrize("steps", [4, 10])
def test_flow_matching_euler_is_ours_on_the_list_that_pipelines_give_it(host: PluginHost, steps: int) -> None:
    given = [1 - i / steps for i in range(steps)]
    peer = made("FlowMatchEulerDiscreteScheduler")
    peer.set_timesteps(sigmas=given)
    meaning = understand(host, "FlowMatchEulerDiscreteScheduler")
    plan = laid_out(host, meaning, peer, steps)
    assert [p.sigma for p in plan.points[:-1]] == pytest.approx(given)
    x = start(plan)
    assert relative(ours(plan, x, []), theirs(peer, plan, x, native=True)) < WITHIN


@pytest.mark.parametrize(
    "name", ["FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler", "FlowMatchLCMScheduler"]
)
def test_left_to_itself_flow_matching_shifts_twice(host: PluginHost, name: str) -> None:
    assert "shift twice" in understand(host, name).notes[0]
    plain, shifted = made(name), made(name, shift=3.0)
    for peer in (plain, shifted):
        peer.set_timesteps(10)
    once = [3 * t / (1 + 2 * t) for t in plain.sigmas.double().tolist()]
    found = shifted.sigmas.double().tolist()
    assert found[0] == pytest.approx(once[0])
    low = min(t for t in found if t > 0)
    assert low == pytest.approx(3 * (t := 0.003 / 1.002) / (1 + 2 * t), rel=1e-4)  # of 0.001, shifted and shifted again
    assert low > 2.9 * min(t for t in once if t > 0)


@pytest.mark.parametrize("name", ["FlowMatchHeunDiscreteScheduler", "FlowMatchLCMScheduler"])
@pytest.mark.parametrize("steps", [4, 10])
def test_without_a_shift_a_flow_name_gives_its_classs_result(
    host: PluginHost, patch: Patch, name: str, steps: int
) -> None:
    assert apart(host, patch, name, steps, native=True) < WITHIN


def test_churn_has_no_effect_in_flow_matching(host: PluginHost) -> None:
    assert "its churn has no effect" in understand(host, "FlowMatchEulerDiscreteScheduler").notes[0]
    sample, output = noise(*SHAPE, seed=1), noise(*SHAPE, seed=2)
    results = []
    for churn in (0.0, 40.0):
        peer = made("FlowMatchEulerDiscreteScheduler")
        peer.set_timesteps(4)
        results.append(peer.step(output, peer.timesteps[0], sample, s_churn=churn, s_tmax=1e9).prev_sample)
    assert torch.equal(*results)


def test_churn_in_flow_matching_heun_takes_no_signal_away(host: PluginHost, patch: Patch) -> None:
    """A level of more noise has less signal on a flow: α shrinks by what σ grows."""
    assert "takes no signal away" in understand(host, "FlowMatchHeunDiscreteScheduler").notes[0]
    peer = made("FlowMatchHeunDiscreteScheduler")
    peer.set_timesteps(10)
    sample, still = noise(*SHAPE, seed=1), torch.zeros(SHAPE, dtype=torch.float64)
    sigma = float(peer.sigmas[7])
    peer.set_begin_index(7)
    patch(type(peer).__module__, [still])
    raised = peer.step(still, peer.timesteps[7], sample, s_churn=40.0, s_tmax=1e9).prev_sample
    assert torch.allclose(raised.double(), sample, rtol=1e-6)
    level, up = Flow().at(timestep=1000 * sigma), Flow().at(s=Flow().at(timestep=1000 * sigma).s * 2**0.5)
    assert up.alpha < 0.95 * level.alpha


@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0])
def test_ltxs_ancestral_euler_is_ours_in_t(host: PluginHost, patch: Patch, eta: float) -> None:
    levels = [1.0, 0.9, 0.7, 0.4, 0.1]
    peer = made("LTXEulerAncestralRFScheduler", eta=eta)
    peer.set_timesteps(sigmas=[*levels, 0.0])
    peer.timesteps = peer.timesteps[:-1]
    plan = on_flow(host, "LTXEulerAncestralRFScheduler", levels, eta=eta)
    x, drawn = start(plan), draws(5)
    patch(type(peer).__module__, drawn)
    assert relative(ours(plan, x, drawn), theirs(peer, plan, x, native=True)) < WITHIN


def test_minimax_h3_is_euler(host: PluginHost) -> None:
    """Its network emits the velocity towards the data, which is ours with the other sign."""
    assert "N − 1 steps" in understand(host, "MiniMaxH3Scheduler").notes[0]
    peer = made("MiniMaxH3Scheduler")
    peer.set_timesteps(7)
    plan = on_flow(host, "MiniMaxH3Scheduler", peer.sigmas[:-1].tolist())
    assert len(plan) == 6
    sample = x = start(plan)
    for query, timestep in zip(plan.queries or (), peer.timesteps, strict=True):
        sample = peer.step(DATA.x0(sample, query.point) - DATA.eps(sample, query.point), timestep, sample).prev_sample
    assert relative(ours(plan, x, []), sample) < WITHIN
