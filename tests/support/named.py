"""What a name of diffusers stands for here, laid out beside the class of that name."""

from __future__ import annotations

from typing import Any

import diffusers

from latentry import Flow, Plan, PluginHost, Prediction, SigmaPreference
from latentry._peers._names import Meaning, understand
from support.oracles import relative
from support.peer_runs import SD15, Patch, draws, ours, process_of, start, theirs

CONFIG = SD15 | {"steps_offset": 1, "set_alpha_to_one": False, "clip_sample": False, "skip_prk_steps": True}
"""Stable Diffusion's."""
WITHIN = 1e-5
PREDICTIONS = {"vp": Prediction.EPSILON, "flow": Prediction.FLOW, "edm": Prediction.EDM}


def made(name: str, **config: Any) -> Any:
    """The peer; a model's configuration is for those that know betas."""
    kind = getattr(diffusers, name)
    return kind.from_config(CONFIG | config) if "beta_start" in kind().config else kind(**config)


def laid_out(host: PluginHost, meaning: Meaning, peer: Any, steps: int) -> Plan:
    """The plan a name stands for."""
    process = process_of(peer)
    preference = meaning.preference or SigmaPreference("latentry:trailing")
    assert preference.holds(steps, process.kind)
    schedule = host.sigma_schedules.create(preference.name, **dict(preference.options))
    scheduler = host.schedulers.create(meaning.scheduler, **meaning.options)
    prediction = PREDICTIONS[process.kind]
    return scheduler.plan(steps, process=process, prediction=prediction, sigmas=schedule, final=preference.final)  # type: ignore[no-any-return]


def apart(host: PluginHost, patch: Patch, name: str, steps: int, *, native: bool, **config: Any) -> float:
    """How far the two results are apart."""
    peer = made(name, **config)
    peer.set_timesteps(steps)
    plan = laid_out(host, understand(host, name), peer, steps)
    x, drawn = start(plan), draws(steps)
    patch(type(peer).__module__, drawn)
    return relative(ours(plan, x, drawn), theirs(peer, plan, x, native=native))


def on_flow(host: PluginHost, name: str, sigmas: list[float], **options: Any) -> Plan:
    """The name's scheduler on these levels."""
    meaning = understand(host, name)
    scheduler = host.schedulers.create(meaning.scheduler, **meaning.options, **options)
    return scheduler.plan(process=Flow(), prediction=Prediction.FLOW, sigmas=sigmas)  # type: ignore[no-any-return]
