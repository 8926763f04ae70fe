"""What each method is for, as its paper defines it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from support.guided import Network, by, drawn, sampled
from support.oracles import PROCESSES
from torch import Tensor

from latentry import Denoised, GenerationRequest, OptionError, PluginHost, Query
from latentry._guidance._evaluate import Branch
from latentry._guidance._guidance import ByMethod
from latentry.guidance import AttentionChange, ClassifierFree, GuidanceMethod
from latentry_guidance import (
    AdaptiveProjected,
    Autoguidance,
    CFGPlusPlus,
    CFGZeroStar,
    FrequencyDecoupled,
    MagnitudeAware,
    PerturbedAttention,
    Scheduled,
    SmoothedEnergy,
    TrueCFG,
)
from latentry_guidance.frequency_decoupled import weighted
from latentry_guidance.tangential import damped

KINDS = sorted(PROCESSES)


class Given:
    """A network with two given outputs."""

    def __init__(self, uncond: Tensor, cond: Tensor) -> None:
        self.uncond, self.cond = uncond, cond

    def __call__(self, query: Query, *branches: Branch) -> tuple[Tensor, ...]:
        return tuple(self.uncond if branch.negative or branch.weak_model else self.cond for branch in branches)


def once(
    method: GuidanceMethod,
    uncond: Tensor,
    cond: Tensor,
    *,
    kind: str = "vp-x0",
    step: int = 2,
    memory: Any = None,
    **more: Any,
) -> tuple[Tensor, Any]:
    """One evaluation, of x₀ unless another kind is given."""
    guidance: ByMethod = by(method, kind=kind, **more)
    query = Query(drawn(9, *cond.shape), guidance.plan.points[2], 1.0, 2)
    found = guidance(Given(uncond, cond), query, guidance.empty if memory is None else memory)
    return found.output, found.memory


UNCOND, COND = drawn(1, 3, 4, 8, 8), 1.5 * drawn(2, 3, 4, 8, 8) + 0.5


def along(a: Tensor, b: Tensor) -> Tensor:
    """The cosine of each picture's angle."""
    return torch.cosine_similarity(a.flatten(1), b.flatten(1))


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_apg_removes_the_parallel_part(eta: float) -> None:
    plain = COND - UNCOND
    output, _ = once(AdaptiveProjected(eta=eta, threshold=0.0), UNCOND, COND, scale=5.0)
    push = (output - COND) / 4.0
    for got, full, cond in zip(push, plain, COND, strict=True):
        parallel = (full * cond).sum() / cond.square().sum() * cond
        assert torch.allclose(got, full - (1 - eta) * parallel, atol=1e-12)
    assert torch.allclose(along(push, COND).abs() < 1e-9, torch.tensor(eta == 0.0))


def test_apg_limits_the_length_of_each_picture() -> None:
    uncond = torch.cat([COND[:1] + 0.001, COND[1:2] + 5.0, COND[2:]])  # near, far, and the same
    output, _ = once(AdaptiveProjected(eta=1.0, threshold=2.0), uncond, COND, scale=2.0)
    lengths = (output - COND).flatten(1).norm(dim=1)
    assert torch.allclose(lengths[0], (COND - uncond)[0].norm())
    assert torch.allclose(lengths[1], torch.tensor(2.0, dtype=torch.float64))
    assert torch.equal(output[2], COND[2])


def test_apg_has_momentum() -> None:
    """Δ̄ₙ = Δₙ + β·Δ̄ₙ₋₁, by hand over three evaluations."""
    method, memory, average = AdaptiveProjected(eta=1.0, momentum=-0.6, threshold=0.0), None, torch.zeros(1)
    for seed in (3, 4, 5):
        uncond = drawn(seed, *COND.shape)
        output, memory = once(method, uncond, COND, scale=3.0, memory=memory)
        average = (COND - uncond) - 0.6 * average
        assert torch.allclose(output, COND + 2.0 * average, atol=1e-12)
    assert torch.allclose(memory.direction, average)


def test_cfg_zero_star_scales_the_unguided_velocity_to_fit_best() -> None:
    """At scale 0 the output is s*·v_u: the rest of v_c is orthogonal to v_u, and no other scale comes nearer."""
    output, _ = once(CFGZeroStar(zero_steps=0), UNCOND, COND, kind="flow", scale=0.0)
    assert torch.allclose(along(COND - output, UNCOND), torch.zeros(3, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(along(output, UNCOND).abs(), torch.ones(3, dtype=torch.float64))
    for off in (0.9, 1.1):
        assert ((COND - off * output).flatten(1).norm(dim=1) > (COND - output).flatten(1).norm(dim=1)).all()


def test_cfg_zero_star_does_not_guide_along_one_direction() -> None:
    output, _ = once(CFGZeroStar(zero_steps=0), 0.3 * COND, COND, kind="flow", scale=7.0)
    assert torch.allclose(output, COND, atol=1e-12)


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_cfg_zero_star_leaves_a_flow_where_it_is_at_first(steps: int) -> None:
    guidance, x = by(CFGZeroStar(zero_steps=steps), kind="flow"), drawn(6, 2, 4, 8, 8)
    for done in range(1, 4):
        run, _, _ = sampled(guidance, x, stop=done)
        assert torch.allclose(run.query.x, x, atol=1e-12) == (done <= steps)  # type: ignore[union-attr]


def test_tcfg_keeps_the_part_along_the_first_singular_vector() -> None:
    """Against torch's decomposition of the two rows."""
    for scale in (0.2, 1.0, 3.0):
        rows = torch.stack([COND.flatten(1), scale * UNCOND.flatten(1)], dim=1)
        first = torch.linalg.svd(rows, full_matrices=False).Vh[:, 0]
        expected = (rows[:, 1] * first).sum(1, keepdim=True) * first
        assert torch.allclose(damped(scale * UNCOND, COND).flatten(1), expected, atol=1e-10)


def test_tcfg_changes_nothing_where_both_agree() -> None:
    assert torch.allclose(damped(COND, COND), COND)
    assert torch.allclose(damped(0.2 * COND, COND), 0.2 * COND)
    assert torch.equal(damped(torch.zeros_like(COND), torch.zeros_like(COND)), torch.zeros_like(COND))


@pytest.mark.parametrize("shape", [(8, 8), (7, 13), (32, 12), (5, 4)])
@pytest.mark.parametrize("levels", [2, 3, 5])
def test_a_pyramid_restores_its_picture(shape: tuple[int, int], levels: int) -> None:
    picture = drawn(7, 2, 3, *shape)
    assert torch.allclose(weighted(picture, [2.5] * levels), 2.5 * picture, atol=1e-12)


@pytest.mark.parametrize("levels", [2, 3])
def test_fdg_guides_low_frequencies_by_their_share(levels: int) -> None:
    """What is constant is in the coarsest level alone; a checkerboard is nearly all in the finest."""
    level = torch.full((1, 2, 16, 16), 0.7, dtype=torch.float64)
    board = torch.ones(16, 16, dtype=torch.float64)
    board[::2, 1::2] = board[1::2, ::2] = -1.0
    uncond = drawn(8, 1, 2, 16, 16)
    method = FrequencyDecoupled(low=0.25, levels=levels)
    for difference, gain, off in ((level, 1.0 + 4.0 * 0.25, 1e-12), (board.expand(1, 2, 16, 16), 5.0, 0.02)):
        output, _ = once(method, uncond, uncond + difference, scale=5.0)
        inner = ((output - uncond) / difference)[..., 4:12, 4:12]
        assert torch.allclose(inner, torch.full_like(inner, gain), atol=off * gain)
    plain, _ = once(FrequencyDecoupled(low=1.0, levels=levels), UNCOND, COND, scale=5.0)
    assert torch.allclose(plain, torch.lerp(UNCOND, COND, 5.0), atol=1e-12)


def test_magnitude_aware_guidance_falls_with_the_distance() -> None:
    """Each picture by its own ratio; the first is guided nearly in full, the last hardly at all."""
    uncond = COND * torch.tensor([0.99, 0.7, 0.1], dtype=torch.float64).view(3, 1, 1, 1)
    output, _ = once(MagnitudeAware(alpha=2.0), uncond, COND, kind="flow", scale=9.0)
    gains = (output - uncond).flatten(1).norm(dim=1) / (COND - uncond).flatten(1).norm(dim=1)
    for gain, share in zip(gains.tolist(), (0.99, 0.7, 0.1), strict=True):
        assert gain == pytest.approx(1 + 8 * math.exp(-2.0 * (1 - share) / share))
    assert gains[0] > 8.5
    assert gains[2] < 1.001


def ddim(guidance: ByMethod, x: Tensor, scale: float, *, renoised_by: str) -> Tensor:
    """DDIM by hand, with x₀ guided and the noise of one side (Chung et al. 2024, algorithm 2)."""
    network, plan = Network(guidance), guidance.plan
    for index, (point, end) in enumerate(zip(plan.points, plan.points[1:], strict=False)):
        query = Query(x, point, point.timestep, index)
        shown = [guided.x0 for guided in answers(guidance, network, query)]
        x0 = torch.lerp(shown[0], shown[1], scale)
        noise = (x - point.alpha * (shown[0] if renoised_by == "uncond" else x0)) / point.sigma
        x = end.alpha * x0 + end.sigma * noise
    return x


def answers(guidance: ByMethod, network: Network, query: Query) -> tuple[Denoised, ...]:
    """Without the prompt and with it."""
    from latentry.guidance import COND, UNCOND, GuidedQuery

    asked = GuidedQuery(query, guidance.plan, 1.0)
    return tuple(asked.answer(output) for output in network(query, UNCOND, COND))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [0.0, 0.3, 1.0])
def test_cfg_plus_plus_renoises_without_the_prompt(kind: str, scale: float) -> None:
    guidance = by(CFGPlusPlus(), kind=kind, scale=scale, neutral=None)
    x = guidance.plan.points[0].sigma * drawn(5, 2, 4, 3, 3)
    run, _, _ = sampled(guidance, x)
    expected = ddim(guidance, x, scale, renoised_by="uncond")
    assert torch.allclose(run.sample, expected, atol=1e-8)
    assert not torch.allclose(run.sample, ddim(guidance, x, scale, renoised_by="guided"), atol=1e-4) or scale == 0.0


def test_cfg_plus_plus_at_zero_is_the_run_without_the_prompt() -> None:
    x = drawn(5, 2, 4, 3, 3)
    run, _, _ = sampled(by(CFGPlusPlus(), scale=0.0, neutral=None), x)
    alone, _, _ = sampled(by(ClassifierFree(), scale=0.0), x)
    assert torch.allclose(run.sample, alone.sample, atol=1e-12)


@pytest.mark.parametrize("shape", ["constant", "linear", "cosine"])
def test_a_schedule_has_the_mean_of_its_scale_and_ends_high(shape: str) -> None:
    process, _ = PROCESSES["flow"]
    method = Scheduled(shape=shape)
    times = [(i + 0.5) / 200 for i in range(200)]
    factors = [method.factor(process.at(s=t / (1 - t))) for t in times]
    assert sum(factors) / 200 == pytest.approx(1.0, abs=1e-4)
    assert (factors[0] > 1.9) == (factors[-1] < 0.1) == (shape != "constant")
    assert factors == sorted(factors, reverse=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_schedule_is_one_of_the_noise_level_whatever_the_process(kind: str) -> None:
    process, _ = PROCESSES[kind]
    flow, _ = PROCESSES["flow"]
    for s in (0.05, 0.7, 3.0):
        assert Scheduled().factor(process.at(s=s)) == pytest.approx(Scheduled().factor(flow.at(s=s)))


def test_outside_its_noise_levels_the_unguided_output_is_not_computed() -> None:
    guidance = by(Scheduled(shape="constant", low=0.2, high=2.0), kind="flow")
    run, _, network = sampled(guidance, drawn(4, 1, 4, 3, 3))
    inside = [0.2 <= point.s <= 2.0 for point in guidance.plan.points[:-1]]
    assert [len(branches) == 2 for branches in network.passes] == inside
    assert 0 < sum(inside) < len(inside)
    by_hand = by(ClassifierFree(), kind="flow")
    guided = {i for i, is_in in enumerate(inside) if is_in}
    expected, _, _ = sampled(ByMethod(by_hand.method, by_hand.scale, guided, by_hand.plan), drawn(4, 1, 4, 3, 3))
    assert torch.allclose(run.sample, expected.sample)


@pytest.mark.parametrize("scale", [0.0, 1.5, 4.0])
def test_autoguidance_is_the_line_through_the_weak_and_the_strong_output(scale: float) -> None:
    """Karras et al. 2024, eq. 4: w·D₁ − (w − 1)·D₀."""
    output, _ = once(Autoguidance(), UNCOND, COND, scale=scale, asks=frozenset({"weak-model"}))
    assert torch.allclose(output, scale * COND - (scale - 1) * UNCOND, atol=1e-12)


def test_true_cfg_has_a_scale_of_its_own() -> None:
    output, _ = once(TrueCFG(scale=4.0), UNCOND, COND, scale=1.0, neutral=None)
    assert torch.allclose(output, UNCOND + 4.0 * (COND - UNCOND))
    with pytest.raises(OptionError, match="it must not be 1"):
        TrueCFG(scale=1.0)


@pytest.mark.parametrize("scale", [1.0, 3.0])
@pytest.mark.parametrize(
    ("method", "kind"),
    [
        (PerturbedAttention(strength=2.5, blocks=(1, 2)), "perturbed-attention"),
        (SmoothedEnergy(strength=2.5, blocks=(1, 2), blur=4.0), "smoothed-attention"),
    ],
)
def test_what_weakens_attention_guides_away_from_it(method: GuidanceMethod, kind: str, scale: float) -> None:
    """On top of plain guidance, which is not computed at a scale of 1; all branches are evaluated at once."""
    guidance = by(method, scale=scale, neutral=None, asks=frozenset({"uncond", kind}))
    network, x, point = Network(guidance), drawn(3, 2, 4, 3, 3), guidance.plan.points[2]
    query = Query(x, point, 1.0, 2)
    output = guidance(network, query, guidance.empty).output
    (asked,) = network.passes
    assert [branch.kind for branch in asked] == (["uncond"] if scale != 1.0 else []) + ["cond", kind]
    weak = asked[-1]
    assert weak.attention == AttentionChange((1, 2), 4.0 if kind == "smoothed-attention" else None)
    uncond, cond, weakened = network(query, Branch(negative=True), Branch(), weak)
    expected = uncond + scale * (cond - uncond) + 2.5 * (cond - weakened)
    assert torch.allclose(output, expected, atol=1e-12)


PLAIN: dict[str, GuidanceMethod] = {
    "apg": AdaptiveProjected(eta=1.0, momentum=0.0, threshold=0.0),
    "fdg": FrequencyDecoupled(low=1.0),
    "magnitude-aware": MagnitudeAware(alpha=0.0),
    "scheduled": Scheduled(shape="constant"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PLAIN)
def test_with_nothing_of_its_own_it_is_plain_guidance(name: str, kind: str) -> None:
    x = drawn(4, 2, 4, 8, 8)
    plain, _, _ = sampled(by(ClassifierFree(), kind=kind), x)
    run, _, _ = sampled(by(PLAIN[name], kind=kind), x)
    assert torch.allclose(run.sample, plain.sample, atol=1e-7)


def test_the_records_say_what_the_classes_do() -> None:
    host = PluginHost()
    for name in host.guidance:
        spec, kind = host.guidance[name], host.guidance.load(name)
        if host.guidance.provenance(name).distribution == "latentry-guidance":
            assert issubclass(kind, GuidanceMethod)
            assert spec.memory == bool(kind.Memory._fields)
            for field in kind.model_fields.values():
                assert field.description
            GenerationRequest(prompt="a", guidance_method=name, guidance_options=kind().model_dump())
