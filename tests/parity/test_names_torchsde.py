"""The two classes of diffusers that want torchsde, by name; their noise is given to them, torchsde makes none."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from support.named import WITHIN, laid_out, made
from support.oracles import emitted, noise, relative
from support.peer_runs import DATA, SHAPE, draws, start, theirs

from latentry import EDM, PluginHost, Prediction
from latentry._peers._names import understand
from latentry.sigmas import Exponential

pytest.importorskip("torchsde")


def test_stable_audios_dpm_solver_is_2m_sde_on_edm(host: PluginHost) -> None:
    """Its network emits EDM's F with the other sign, at times atan(σ)/90°."""
    peer: Any = made("CosineDPMSolverMultistepScheduler")
    peer.set_timesteps(10)
    meaning = understand(host, "CosineDPMSolverMultistepScheduler")
    assert meaning.preference is not None
    assert (meaning.preference.name, meaning.notes) == ("latentry:exponential", ())
    process = EDM(sigma_min=0.3, sigma_max=500.0, data_std=1.0)
    scheduler = host.schedulers.create(meaning.scheduler, **meaning.options)
    plan = scheduler.plan(10, process=process, prediction=Prediction.EDM, sigmas=Exponential())
    x, drawn = start(plan), draws(10)
    left = iter(drawn)
    peer.noise_sampler = lambda *_: next(left)
    sample = x
    for query, timestep in zip(plan.queries or (), peer.timesteps, strict=True):
        x0, eps = DATA.x0(sample, query.point), DATA.eps(sample, query.point)
        output = -emitted(Prediction.EDM, query.point, x0, eps, data_std=1.0)
        sample = peer.step(output, timestep, sample).prev_sample
    run = plan.start(x, noise=lambda like, interval, draw, clock: drawn[interval])
    while (ask := run.query) is not None:
        x0, eps = DATA.x0(ask.x, ask.point), DATA.eps(ask.x, ask.point)
        run.advance(emitted(Prediction.EDM, ask.point, x0, eps, data_std=1.0))
    assert relative(run.sample, sample) < WITHIN


def test_the_sde_scheduler_counts_half_the_slope_and_has_its_own_clock(host: PluginHost) -> None:
    """With our path, and our ``solver=midpoint``, they agree: nothing else differs."""
    peer: Any = made("DPMSolverSDEScheduler")
    peer.set_timesteps(10)
    meaning = understand(host, "DPMSolverSDEScheduler")
    assert "solver=midpoint" in meaning.notes[0]
    plan = laid_out(host, meaning, peer, 10)
    pieces = [(noise(*SHAPE, seed=i), noise(*SHAPE, seed=50 + i)) for i in range(10)]
    levels = [point.s for point in plan.points[:-1]]
    given = []
    for (early, late), (s, to) in zip(pieces, pairwise(levels), strict=False):
        begin, middle, end = s**-2, 1 / (s * to), to**-2
        share = (middle - begin) / (end - begin)
        given += [early, math.sqrt(share) * early + math.sqrt(1 - share) * late]
    left = iter([*given, *given[:2]])
    peer.noise_sampler = lambda *_: next(left)
    x, found = start(plan), {}
    for solver in ("midpoint", "exact"):
        plan = replace(plan, scheduler=plan.scheduler.model_copy(update={"solver": solver}))
        run = plan.start(x, noise=lambda like, interval, draw, clock: pieces[interval][draw])
        while (ask := run.query) is not None:
            run.advance(DATA.eps(ask.x, ask.point))
        found[solver] = run.sample
    expected = theirs(peer, plan, x)
    assert relative(found["midpoint"], expected) < WITHIN
    assert relative(found["exact"], expected) > 1e-3
