"""The guard of every scheduler that has one: what it changes, what it leaves alone, and how it is switched off."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from support.oracles import noise
from support.toy import PLUGIN, write_toy
from torch import Tensor

from latentry import Engine, GenerationRequest, Plan, PluginHost, Prediction, ProcessKind, Recipe
from latentry.names import understand
from latentry.solvers import FITTED, INNER, STAGES, Guarded, GuardedOrders, GuardedStages, StagedSDE, limit_for
from latentry.tables import Guard, Table
from latentry.testing import drive
from latentry.testing._default_plans import default_plan, preferred
from latentry.testing._networks._oracles import GuidedOracle, MixtureOracle
from latentry.testing._networks._processes import plan_on, process
from latentry.testing._subject import Subject

HOST = PluginHost()
GUARDED = [name for name in HOST.schedulers if HOST.schedulers[name].guard_since is not None]
DETERMINISTIC = [name for name in GUARDED if not HOST.schedulers[name].stochastic]
STAGED = [name for name in GUARDED if issubclass(HOST.schedulers.load(name), GuardedStages)]
FITTING = [name for name in GUARDED if "fitted" in HOST.schedulers.load(name).model_fields]
ON_A_PATH = {name for name in GUARDED if issubclass(HOST.schedulers.load(name), StagedSDE)}
INNER_STILL = {"heun", "restart"} | ON_A_PATH - set(FITTING)
"""Those of several evaluations whose limit is as wide as without ``guard_stages``."""
ORDERED = [name for name in GUARDED if issubclass(HOST.schedulers.load(name), GuardedOrders)]
LONG = [-2.6 + 0.6 * i for i in range(11)]
SHORT = [-2.6 + 0.14 * i for i in range(44)]
"""λ of boundaries: steps longer than those that are left alone, and so short that three of them are."""


def planned(name: str, lams: list[float], **options: object) -> Plan:
    caps = {"longest_step": math.inf} if "longest_step" in HOST.schedulers.load(name).model_fields else {}
    return plan_on(HOST.schedulers.create(name, **caps, **options), process("vp"), lams)


def guards(plan: Plan) -> list[Guard]:
    table = plan.table()
    assert isinstance(table, Table)
    return [each for step in table.steps for each in step.operations if isinstance(each, Guard)]


def guided(plan: Plan, scale: float = 7.5) -> Tensor:
    means = ((1.0, 0.4), (-0.8, 0.9), (-0.2, -1.1))
    oracle = GuidedOracle(MixtureOracle(means[:1], 0.02), MixtureOracle(means, 0.02), scale)
    return drive(plan, plan.noise_scale() * noise(32, 2), oracle.answer)


@pytest.mark.parametrize("name", GUARDED)
def test_long_steps_are_guarded_and_short_ones_are_not(name: str) -> None:
    assert guards(planned(name, LONG))
    assert not guards(planned(name, SHORT))
    assert not guards(planned(name, LONG, guard=False))
    several = HOST.schedulers[name].evaluations > 1 or name == "dpm-fast"
    staged = FITTED if name in FITTING else STAGES
    slack = (INNER if name in INNER_STILL else staged) if several else 1.0
    slacks = {slack, 1.0} if name == "pndm" else {slack}  # which looks back after one step of two evaluations
    before = {"guard_length": False} if name in STAGED else {}  # some take several intervals, or begin anew above one
    even = guards(planned(name, LONG, guard_limit=0.3, guard_noise=False, **before))
    assert {guard.kappa for guard in even} == {each * 0.3 for each in slacks}
    wider = guards(planned(name, LONG, guard_limit=0.3, **before))
    assert len(wider) == len(even)
    assert min(guard.kappa for guard in wider) >= min(slacks) * 0.3
    assert max(guard.kappa for guard in wider) > max(slacks) * 0.3


def test_the_limit_is_wider_where_more_noise_is_left() -> None:
    """By the root of its size beside the signal, √(σ/α), where that is over 1."""
    plan = planned("dpmpp-2m", LONG, guard_limit=0.3)
    found = {round(guard.kappa, 9) for guard in guards(plan)}
    ends = [point.sigma / point.alpha for point in plan.points[2:-1]]  # the first step has nothing to extrapolate from
    assert found == {round(0.3 * max(1.0, s) ** 0.5, 9) for s in ends}
    assert len(found) > 3


@pytest.mark.parametrize("name", ["heun", "dpm2", "res-2s"])
def test_the_limit_falls_with_the_length_of_a_step_that_evaluates_within_it(name: str) -> None:
    """Where that is over 1; out of pure noise it is infinite, and nothing of the step is left."""
    lams = [-2.6, -2.0, -0.9, 0.6, 2.6]
    given = {"guard_limit": 0.3, "guard_noise": False}
    kappas, before = (
        [guard.kappa for guard in guards(planned(name, lams, **given, guard_length=length))] for length in (True, False)
    )
    lengths = [1.0, 1.1, 1.5, 2.0]
    assert kappas == pytest.approx([k / h for k, h in zip(before, lengths, strict=True)], rel=1e-9)


def test_heuns_step_out_of_pure_noise_is_the_one_with_the_mean() -> None:
    """It is infinite in λ, where evaluations say nothing about each other; ε is that of the start whatever they say."""
    plan = HOST.schedulers.create("heun", guard_limit=1e9).plan(2, process=process("flow"), prediction=Prediction.X0)
    assert not guards(plan[:1])
    run = plan.start(noise(4, 2), table=False)
    run.advance(torch.full((4, 2), 0.3, dtype=torch.float64))
    guess = run.query
    run.advance(torch.full((4, 2), -1.1, dtype=torch.float64))
    after = run.query
    assert guess is not None and after is not None
    assert torch.allclose(after.x, guess.x + 0.5 * guess.point.alpha * (-1.1 - 0.3), rtol=1e-12)


@pytest.mark.parametrize("name", ORDERED)
def test_third_order_is_drawn_back_to_second_and_then_to_first(name: str) -> None:
    plan, before = (planned(name, LONG, guard_limit=0.3, guard_orders=orders) for orders in (True, False))
    third = 10 - 2 - 2  # of ten steps two begin, and the last two are of lower order
    assert len(guards(plan)) == len(guards(before)) + third
    assert not torch.allclose(guided(plan), guided(before), rtol=1e-3)
    tight = guided(planned(name, LONG, guard_limit=1e-9))
    assert torch.allclose(tight, guided(planned("ddim", LONG)), rtol=1e-10)


@pytest.mark.parametrize("name", [name for name in DETERMINISTIC if name != "dpm-fast"])  # whose steps are several
def test_drawn_back_all_the_way_it_is_ddim(name: str) -> None:
    before = {"guard_stages": False} if name in STAGED else {}
    plan = planned(name, LONG, guard_limit=1e-9, **before)
    assert torch.allclose(guided(plan), guided(planned("ddim", LONG)), rtol=1e-10)


@pytest.mark.parametrize("name", ["dpm2", "res-2s", "dpm-fast"])
def test_drawn_back_to_their_stages_they_are_ddim_from_one_evaluation_to_the_next(name: str) -> None:
    every = sorted({*LONG, *(0.5 * (a + b) for a, b in pairwise(LONG))}) if name != "dpm-fast" else LONG
    plan = planned(name, LONG, guard_limit=1e-9)
    assert plan.evaluations == len(every) - 1
    assert torch.allclose(guided(plan), guided(planned("ddim", every)), rtol=1e-10)


@pytest.mark.parametrize("name", ["seeds-2", "dpmpp-sde"])
def test_drawn_back_on_one_noise_path_they_are_ancestral_from_one_evaluation_to_the_next(name: str) -> None:
    every = sorted({*LONG, *(0.5 * (a + b) for a, b in pairwise(LONG))})
    begin, answer = noise(32, 2), MixtureOracle(((1.0, 0.4), (-0.8, 0.9)), 0.02).answer
    draws = [torch.randn(32, 2, generator=torch.Generator().manual_seed(i), dtype=torch.float64) for i in range(20)]
    plan = planned(name, LONG, guard_limit=1e-9)
    found = drive(plan, begin, answer, noise=lambda like, step, draw, clock: draws[2 * step + draw])
    ancestral = planned("euler-ancestral", every)
    assert torch.allclose(found, drive(ancestral, begin, answer, noise=lambda like, step, *_: draws[step]), rtol=1e-6)


def test_pndms_first_step_is_drawn_back_to_that_of_heun() -> None:
    """And those after it, which look back, to DDIM's."""
    begin, answer = noise(32, 2), MixtureOracle(((1.0, 0.4), (-0.8, 0.9)), 0.02).answer
    first, after = planned("heun", LONG, guard_limit=1e-9)[:1], planned("ddim", LONG)[1:]
    plan = planned("pndm", LONG, guard_limit=1e-9)
    x = drive(after, drive(first, begin, answer), answer)
    assert torch.allclose(drive(plan, begin, answer), x, rtol=1e-9)


@pytest.mark.parametrize("reverse", [False, True])
def test_heun_is_drawn_back_to_the_mean_of_both_denoised(reverse: bool) -> None:
    """Which is exact where x̂₀ stays as it is: x ← (σ'/σ)·x + (α' − α·σ'/σ)·(x̂₀ + x̂₀')/2."""
    plan = planned("heun", LONG, guard_limit=1e-9)
    plan = plan.reversed() if reverse else plan
    oracle = MixtureOracle(((1.0, 0.4), (-0.8, 0.9)), 0.02)
    begin = noise(32, 2)
    x = begin
    for start, end in pairwise(plan.points):
        kept = end.sigma / start.sigma
        here = oracle.predict(x, start)[0]
        guess = kept * x + (end.alpha - start.alpha * kept) * here
        there = oracle.predict(guess, end)[0]
        x = kept * x + (end.alpha - start.alpha * kept) * 0.5 * (here + there)
    assert torch.allclose(drive(plan, begin, oracle.answer), x, rtol=1e-9)


@pytest.mark.parametrize("guard", [False, True])
@pytest.mark.parametrize("name", sorted({*STAGED} & {*DETERMINISTIC}))
def test_a_guarded_plan_goes_back_to_pure_noise(name: str, guard: bool) -> None:
    scheduler = HOST.schedulers.create(name, guard=guard)
    plan = scheduler.plan(6, process=process("flow"), prediction=Prediction.FLOW).reversed()
    assert plan.points[-1].alpha == 0.0
    assert bool(drive(plan, noise(4, 2), MixtureOracle().answer).isfinite().all())


@pytest.mark.parametrize("name", GUARDED)
def test_over_short_steps_nothing_changes(name: str) -> None:
    free = guided(planned(name, SHORT, guard=False))
    assert torch.equal(guided(planned(name, SHORT, guard_limit=1e-9)), free)
    assert not torch.equal(guided(planned(name, LONG, guard_limit=1e-9)), guided(planned(name, LONG, guard=False)))


def test_every_scheduler_that_extrapolates_has_one() -> None:
    """All of order 2 and more: what they add to the first-order step is extrapolated."""
    alone = {"dpm-adaptive", "unipc-adaptive"}  # they hold their steps to a tolerance
    higher = {n for n in HOST.schedulers if max(HOST.schedulers[n].order, 1) > 1} - alone
    assert higher - set(GUARDED) <= {"dpmpp-2s-ancestral-cfgpp"}  # its first-order step has no single x₀
    for name in HOST.schedulers:
        assert issubclass(HOST.schedulers.load(name), Guarded) == (name in GUARDED)


def test_other_programs_names_have_none() -> None:
    found = 0
    for name in GUARDED:
        for peer in HOST.schedulers[name].peers:
            meaning = understand(HOST, peer.name)
            found += meaning.options.get("guard") is False
            assert meaning.options["guard"] is False
    assert found > 40


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(PluginHost(plugin_dirs=[PLUGIN]))


def request(model: str, **given: object) -> GenerationRequest:
    return GenerationRequest.model_validate({"prompt": "moon", "seed": 3, "steps": 5, "model": model, **given})


def test_the_limit_follows_the_guidance_and_is_recorded(engine: Engine, tmp_path: Path) -> None:
    model = str(write_toy(tmp_path / "model"))
    for scale, limit in ((1.0, 1.0), (3.0, 1.0), (3.1, 0.3), (7.5, 0.3)):
        assert limit_for(scale) == limit
        setup = engine.prepare(request(model, scheduler="unipc", guidance=scale))
        assert setup.request.scheduler_options["guard_limit"] == limit
        assert min(guard.kappa for guard in guards(setup.plan)) == limit
        again = engine.prepare(setup.request.model_copy(update={"guidance": 1.0}))
        assert again.request.scheduler_options["guard_limit"] == limit
    setup = engine.prepare(request(model, scheduler="unipc", guidance=9.0, scheduler_options={"guard_limit": 0.4}))
    assert min(guard.kappa for guard in guards(setup.plan)) == 0.4
    assert not guards(engine.prepare(request(model, scheduler="uni_pc_bh2", guidance=9.0)).plan)


# steps and limits at which some of this network's extrapolations lie between what the option is and what it is not
@pytest.mark.parametrize(
    ("name", "option", "steps", "limit"),
    [
        ("dpmpp-2m", "guard_noise", 12, 3e-4),
        # only pndm's first step has stages, and of 12 it is short
        *((name, "guard_stages", 6 if name == "pndm" else 12, 3e-4) for name in STAGED),
        *((name, "guard_length", 4, 3e-3) for name in ("heun", "pndm", "res-2s", "restart")),
        ("dpm2", "guard_length", 6, 1e-3),
        ("dpm-fast", "guard_length", 12, 2e-3),
        *((name, "guard_orders", 12, 1e-3) for name in ("dpmpp-3m", "res-3m")),
        *((name, "fitted", 12, limit) for name in FITTING for limit in (1.0, None)),
        ("dpmpp-3m-sde", "steady", 12, 1.0),
    ],
)
def test_a_recipe_from_before_an_option_draws_as_it_did(
    engine: Engine, tmp_path: Path, name: str, option: str, steps: int, limit: float | None
) -> None:
    model = str(write_toy(tmp_path / "model"))
    given = {"scheduler": name, "guidance": 9.0, "sigmas": "karras", "steps": steps}
    beside = {"guard": False} if limit is None else {"guard_limit": limit}
    before, now = (
        engine.generate(request(model, **given, scheduler_options={**beside, option: value})) for value in (False, True)
    )
    assert not torch.equal(before.latents, now.latents)
    (recipe,) = before.recipes
    options = {k: v for k, v in recipe.request.scheduler_options.items() if k != option}
    old = recipe.model_copy(update={"request": recipe.request.model_copy(update={"scheduler_options": options})})
    again = engine.reproduce(old)
    assert torch.equal(again.latents, before.latents)
    assert again.recipes[0].request.scheduler_options[option] is False
    assert torch.equal(engine.reproduce(now.recipes[0]).latents, now.latents)


def test_a_recipe_from_before_the_guard_draws_as_it_did(engine: Engine, tmp_path: Path) -> None:
    model = str(write_toy(tmp_path / "model"))
    unguarded = engine.generate(
        request(model, scheduler="dpmpp-2m", guidance=7.5, sigmas="karras", scheduler_options={"guard": False})
    )
    (recipe,) = unguarded.recipes
    used = recipe.plugins["scheduler"]
    assert used.revision is not None
    options = {k: v for k, v in recipe.request.scheduler_options.items() if not k.startswith("guard")}

    def dated(revision: int) -> Recipe:
        plugins = {**recipe.plugins, "scheduler": used.model_copy(update={"revision": revision})}
        old = recipe.request.model_copy(update={"scheduler_options": options})
        return recipe.model_copy(update={"plugins": plugins, "request": old})

    since = engine.host.schedulers["dpmpp-2m"].guard_since
    assert since is not None
    again = engine.reproduce(dated(since - 1))
    assert torch.equal(again.latents, unguarded.latents)
    assert again.recipes[0].request.scheduler_options["guard"] is False
    with pytest.raises(Exception, match="cannot be made again"):
        engine.reproduce(dated(since - 2))
    assert not guards(engine.prepare(again.recipes[0].request).plan)
    assert guards(engine.prepare(dated(since).request).plan)


@pytest.mark.parametrize(("kind", "shift"), [("vp", 1.0), ("flow", 1.0), ("flow", 3.0), ("edm", 1.0)])
@pytest.mark.parametrize("name", FITTING)
def test_fitted_steps_hold_under_guidance_as_first_order_does(name: str, kind: ProcessKind, shift: float) -> None:
    """In four steps no more samples leave the component that is asked for than of first order's in eight."""
    for scale in (5.0, 7.5):
        ours, first = (_lost(each, steps, kind, shift, scale) for each, steps in ((name, 4), ("euler-ancestral", 8)))
        assert ours <= first + 0.01, scale


def _lost(name: str, steps: int, kind: ProcessKind, shift: float, scale: float) -> float:
    """The share of results that lie more than 1 from the component that the guidance asks for."""
    asked, others = ((1.0, 0.4),), ((-0.8, 0.9), (0.2, -1.0))
    oracle = GuidedOracle(MixtureOracle(asked, 0.02), MixtureOracle(asked + others, 0.02), scale)
    subject, on = Subject.of(name, host=HOST), process(kind)
    preference = preferred(subject, steps, on)
    assert preference is not None
    plan = default_plan(subject, preference, steps, on, shift=shift, guidance=scale)
    x = torch.randn(2000, 2, generator=torch.Generator().manual_seed(11), dtype=torch.float64) * plan.noise_scale()
    off = drive(plan, x, oracle.answer, seed=5) - torch.tensor(asked[0], dtype=torch.float64)
    return float((off.norm(dim=1) > 1.0).double().mean())


@pytest.mark.parametrize("rule", ["sde", "ancestral", "flow"])
@pytest.mark.parametrize("name", sorted(ON_A_PATH & set(FITTING)))
def test_steps_may_replace_all_noise(name: str, rule: str) -> None:
    """η so large that nothing of the noise at the step's start is kept, not even up to its inner level."""
    for eta in (2.0, 5.0):
        plan = planned(name, LONG, eta=eta, eta_rule=rule)
        x = torch.randn(16, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
        assert drive(plan, x, MixtureOracle(((1.0, 0.4),), 0.02).answer, seed=5).isfinite().all()
