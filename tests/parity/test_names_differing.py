"""Names of diffusers of which the records say that something differs: it does, and nothing else."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from support.named import WITHIN, apart, laid_out, made
from support.oracles import even_levels, relative
from support.peer_runs import DATA, SHAPE, Patch, draws, ours, start, table, theirs

from latentry import Plan, PluginHost, Prediction, VariancePreserving
from latentry._peers._names import understand


def test_deis_keeps_its_order_at_the_end_from_15_steps_on(host: PluginHost, patch: Patch) -> None:
    meaning = understand(host, "DEISMultistepScheduler")
    assert "15 steps" in meaning.notes[0]
    for lowered, agrees in ((True, False), (False, True)):
        peer = made("DEISMultistepScheduler")
        peer.set_timesteps(15)
        meaning = replace(meaning, options={**meaning.options, "lower_order_final": lowered})
        plan = laid_out(host, meaning, peer, 15)
        x = start(plan)
        assert (relative(ours(plan, x, []), theirs(peer, plan, x, native=True)) < WITHIN) == agrees


def test_tcd_rounds_the_timestep_it_denoises_to(host: PluginHost, patch: Patch) -> None:
    assert "rounds" in understand(host, "TCDScheduler").notes[0]
    assert 1e-4 < apart(host, patch, "TCDScheduler", 4, native=True) < 1e-2


COG = {"timestep_spacing": "trailing", "set_alpha_to_one": True, "snr_shift_scale": 1.0}


@pytest.mark.parametrize(("steps", "agrees"), [(4, True), (10, True), (7, False)])
def test_cogvideox_ddim_steps_off_its_own_list(host: PluginHost, patch: Patch, steps: int, agrees: bool) -> None:
    assert "N does not divide T" in understand(host, "CogVideoXDDIMScheduler").notes[0]
    assert (apart(host, patch, "CogVideoXDDIMScheduler", steps, native=True, **COG) < WITHIN) == agrees


@pytest.mark.parametrize(("steps", "agrees"), [(4, True), (10, True), (7, False)])
def test_cogvideox_dpm_steps_off_its_own_list(host: PluginHost, patch: Patch, steps: int, agrees: bool) -> None:
    meaning = understand(host, "CogVideoXDPMScheduler")
    assert "N does not divide T" in meaning.notes[0]
    peer = made("CogVideoXDPMScheduler", **COG)
    peer.set_timesteps(steps)
    plan = laid_out(host, meaning, peer, steps)
    x, drawn = start(plan), draws(steps)
    sample, old, back = x, None, None
    for query, timestep in zip(plan.queries or (), peer.timesteps, strict=True):
        patch(
            type(peer).__module__, [drawn[query.index]] * 2
        )  # it draws twice where it looks back, and uses the second
        output = DATA.eps(sample, query.point)
        sample, old = peer.step(output, old, timestep, back, sample, return_dict=False)
        back = timestep
    assert (relative(ours(plan, x, drawn), sample) < WITHIN) == agrees


def test_unclip_clips(host: PluginHost, patch: Patch) -> None:
    meaning = understand(host, "UnCLIPScheduler")
    assert "clips" in meaning.notes[0]
    for clips in (False, True):
        peer = made("UnCLIPScheduler", clip_sample=clips)
        peer.alphas_cumprod = kept = peer.alphas_cumprod.double()  # from 1 − 4e-5 to 2e-9, too much for float32
        peer.alphas = kept / torch.cat([torch.ones(1), kept[:-1]])
        peer.betas = 1 - peer.alphas
        peer.set_timesteps(10)
        plan = laid_out(host, meaning, peer, 10)
        x, drawn = start(plan), draws(10)
        patch(type(peer).__module__, drawn)
        sample, times = x, peer.timesteps
        for i, query in enumerate(plan.queries or ()):
            prev = int(times[i + 1]) if i + 1 < len(times) else -1
            output = DATA.eps(sample, query.point)
            sample = peer.step(output, int(times[i]), sample, prev_timestep=prev).prev_sample
        assert (relative(ours(plan, x, drawn), sample) < WITHIN) == (not clips)


def test_wuerstchens_ddpm_has_levels_of_its_own_and_no_noise_in_its_last_step(host: PluginHost, patch: Patch) -> None:
    meaning = understand(host, "DDPMWuerstchenScheduler")
    assert "ᾱ = 0.9999" in meaning.notes[0]
    peer = made("DDPMWuerstchenScheduler")
    peer.set_timesteps(8)
    kept = [float(peer._alpha_cumprod(t[None].double(), "cpu")) for t in peer.timesteps]
    assert kept[-1] == 0.9999
    process = VariancePreserving.from_betas()
    points = tuple(process.at(s=math.sqrt((1 - a) / a)) for a in kept)
    plan = Plan(host.schedulers.create(meaning.scheduler), process, Prediction.EPSILON, points)
    x, drawn = start(plan), draws(8)
    patch(type(peer).__module__, drawn)
    sample = x
    for query, timestep in zip(plan.queries or (), peer.timesteps, strict=False):
        sample = peer.step(DATA.eps(sample, query.point), timestep.expand(len(x)).double(), sample).prev_sample
    none = [*drawn[:-1], torch.zeros(SHAPE, dtype=torch.float64)]
    assert relative(ours(plan, x, none), sample) < 2e-4  # it computes its levels in float32, and 1 − ᾱ is 1e-4
    assert relative(ours(plan, x, drawn), sample) > 2e-3


def test_singlesteps_stages_are_its_steps(host: PluginHost) -> None:
    """2N of its steps on levels even in λ are N of ours on every other one."""
    meaning = understand(host, "DPMSolverSinglestepScheduler")
    assert "two of them a step here" in meaning.notes[0]
    peer = made("DPMSolverSinglestepScheduler", lower_order_final=False, final_sigmas_type="sigma_min")
    peer.set_timesteps(12)
    process = table(peer)
    points = even_levels(process, 12, 10.0, 0.1)
    peer.sigmas = torch.tensor([p.s for p in points], dtype=torch.float64)
    peer.set_begin_index(0)
    scheduler = host.schedulers.create(meaning.scheduler, **meaning.options)
    plan = Plan(scheduler, process, Prediction.EPSILON, points[::2])
    x = start(plan)
    assert len(plan) == 6
    assert relative(ours(plan, x, []), theirs(peer, plan, x, native=True)) < WITHIN
