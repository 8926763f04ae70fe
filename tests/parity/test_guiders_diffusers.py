"""Guidance against diffusers' guiders, evaluation by evaluation over a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import guiders
from support.guided import STEPS, by, drawn
from torch import Tensor

from latentry import Query
from latentry._guidance._evaluate import Branch
from latentry._guidance._guidance import ByMethod
from latentry.guidance import ClassifierFree, GuidanceMethod
from latentry_guidance import (
    AdaptiveProjected,
    CFGZeroStar,
    FrequencyDecoupled,
    MagnitudeAware,
    Tangential,
)

W = 4.0
Peer = Callable[..., Any]
SAME: dict[str, tuple[GuidanceMethod, str, Peer]] = {
    "classifier-free": (ClassifierFree(), "vp-epsilon", lambda: guiders.ClassifierFreeGuidance(guidance_scale=W)),
    "apg": (
        AdaptiveProjected(eta=0.3, momentum=-0.5, threshold=9.0),
        "vp-x0",
        lambda: guiders.AdaptiveProjectedGuidance(
            guidance_scale=W - 1.0,
            adaptive_projected_guidance_momentum=-0.5,
            adaptive_projected_guidance_rescale=9.0,
            eta=0.3,
            use_original_formulation=True,
        ),
    ),
    "cfg-zero-star": (
        CFGZeroStar(zero_steps=2),
        "flow",
        lambda: guiders.ClassifierFreeZeroStarGuidance(guidance_scale=W, zero_init_steps=2),
    ),
    "tcfg": (
        Tangential(),
        "vp-epsilon",
        lambda: guiders.TangentialClassifierFreeGuidance(guidance_scale=W),
    ),
    "tcfg on a flow": (Tangential(), "flow", lambda: guiders.TangentialClassifierFreeGuidance(guidance_scale=W)),
    "fdg": (
        FrequencyDecoupled(low=0.25),
        "vp-epsilon",
        lambda: guiders.FrequencyDecoupledGuidance(guidance_scales=[W, 1.0 + 0.25 * (W - 1.0)]),
    ),
    "fdg of three levels": (
        FrequencyDecoupled(low=0.2, levels=3),  # with a scale of exactly 1 theirs adds another level's output
        "flow",
        lambda: guiders.FrequencyDecoupledGuidance(guidance_scales=[W, 1.0 + 0.6 * (W - 1.0), 1.0 + 0.2 * (W - 1.0)]),
    ),
    "magnitude-aware": (
        MagnitudeAware(alpha=0.7),
        "flow",
        lambda: guiders.MagnitudeAwareGuidance(guidance_scale=W, alpha=0.7),
    ),
}


@pytest.mark.parametrize("rescale", [0.0, 0.6])
@pytest.mark.parametrize("shape", [(16, 16), (8, 32)])
@pytest.mark.parametrize("name", SAME)
def test_it_is_the_guider_of_that_name(name: str, shape: tuple[int, int], rescale: float) -> None:
    """On the network whose raw output is what the paper works on; outputs of float32, drawn fresh for each step."""
    method, kind, make = SAME[name]
    guidance, peer = by(method, kind=kind, scale=W, rescale=rescale), make()
    peer.guidance_rescale = [rescale] * 3 if "fdg" in name else rescale
    memory, compared = guidance.empty, 0
    for step in range(STEPS):
        uncond, cond = (drawn(10 * step + side, 3, 4, *shape).float() + 0.4 * side for side in (0, 1))
        peer.set_state(step, STEPS, torch.tensor(0))
        peer.prepare_inputs({})
        flat = (cond.flatten(1, 2), uncond.flatten(1, 2)) if name == "magnitude-aware" else (cond, uncond)
        theirs = peer(block(peer, *flat)).pred.view(cond.shape)  # that guider's norm takes tokens alone
        query = Query(drawn(step, *cond.shape).float(), guidance.plan.points[step], 1.0, step)
        ours = guidance(given(uncond, cond), query, memory)
        memory = ours.memory
        if bool(theirs.isnan().any()):  # theirs divides by the spread of zeros; ours leaves zeros as they are
            assert (name, step < 2, rescale > 0.0) == ("cfg-zero-star", True, True)
            continue
        compared += 1
        assert torch.allclose(ours.output, theirs, atol=1e-5 * float(theirs.abs().max()))
    assert compared >= STEPS - 2


def block(peer: Any, cond: Tensor, uncond: Tensor) -> list[Any]:
    """The two outputs as a guider takes them."""
    from diffusers.modular_pipelines.modular_pipeline import BlockState

    sides = {"pred_cond": cond, "pred_uncond": uncond}
    count = peer.num_conditions
    return [BlockState(**{peer._identifier_key: name, "noise_pred": sides[name]}) for name in list(sides)[:count]]


def given(uncond: Tensor, cond: Tensor) -> Callable[..., tuple[Tensor, ...]]:
    """A network with two given outputs."""

    def evaluate(query: Query, *branches: Branch) -> tuple[Tensor, ...]:
        return tuple(uncond if branch.negative else cond for branch in branches)

    return evaluate


def test_every_guider_of_theirs_that_needs_no_other_branch_is_compared() -> None:
    theirs = {type(make()).__name__ for _, _, make in SAME.values()}
    known = {name for name in vars(guiders) if name.endswith("Guidance") and name != "BaseGuidance"}
    other_branches = {"SkipLayerGuidance", "PerturbedAttentionGuidance", "SmoothedEnergyGuidance", "AutoGuidance"}
    mixtures = {"AdaptiveProjectedMixGuidance", "LTX2Guidance"}
    assert known - other_branches - mixtures == theirs


def test_rescaling_is_by_each_method(name: str = "apg") -> None:
    method, kind, _ = SAME[name]
    plain, rescaled = (by(method, kind=kind, scale=W, rescale=rescale) for rescale in (0.0, 1.0))
    assert isinstance(plain, ByMethod)
    query = Query(drawn(1, 3, 4, 8, 8), plain.plan.points[1], 1.0, 1)
    evaluate = given(drawn(2, 3, 4, 8, 8), drawn(3, 3, 4, 8, 8))
    spreads = [guidance(evaluate, query, guidance.empty).output.flatten(1).std(1) for guidance in (plain, rescaled)]
    cond = drawn(3, 3, 4, 8, 8).flatten(1).std(1)
    assert torch.allclose(spreads[1], cond)
    assert not torch.allclose(spreads[0], cond, atol=1e-2)
