"""Every option of every installed scheduler and sigma schedule changes the picture, or is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
from support.option_values import options_of
from support.toy import PLUGIN, write_toy

from latentry import (
    Engine,
    GenerationRequest,
    IncompatibleError,
    LatentryError,
    NonFiniteError,
    OptionError,
    PluginHost,
)
from latentry.solvers import Guarded

KINDS = ("vp", "flow")
STEPS = (5, 12)
TIGHT = 1e-6
BESIDE: dict[str, tuple[dict[str, Any], ...]] = {
    "accept_safety": ({"first_step": 8.0, "rtol": 0.001},),
    "guard": ({"guard_limit": TIGHT}, {"guard_limit": TIGHT, "longest_step": math.inf}),
    "guard_stages": ({"guard_limit": TIGHT}, {"guard_limit": TIGHT, "longest_step": math.inf}),
    "guard_limit": ({"longest_step": math.inf},),
    "longest_step": ({"guard": False},),
    "solver": ({"guard": False},),
}
"""Options that make another one bind, where this network is too easy for it: here no step would ever be rejected, and
what is drawn back to first order already is not there to be limited.
"""

ELSEWHERE = {"guard_noise", "guard_length", "guard_orders"}
"""Of every scheduler in ``test_guards``: they move limits between which this network rarely comes to lie."""


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(PluginHost(plugin_dirs=[PLUGIN]))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    return {kind: str(write_toy(folder / kind, kind=kind)) for kind in KINDS}


# the toy's colour for this word is nearly 1, so that thresholds have something to do
def _latents(engine: Engine, **given: Any) -> Any:
    return engine.generate(GenerationRequest(prompt="moon", seed=3, **given)).latents.tolist()


def _useless(engine: Engine, field: str, options: list[dict[str, Any]], **base: Any) -> list[str]:
    """Options that are taken and change nothing, with any of the values, alone and beside what makes them bind."""
    plain = _latents(engine, **base)
    values: dict[str, list[Any]] = {}
    for option in options:
        ((name, value),) = option.items()
        values.setdefault(name, []).append(value)

    def counts(name: str, beside: dict[str, Any]) -> bool:
        before = _drawn(engine, field, beside, base) if beside else plain
        found = [_drawn(engine, field, {**beside, name: value}, base) for value in values[name]]
        if isinstance(before, LatentryError):  # unknown, or without effect, unless this gives it one
            return not all(isinstance(each, LatentryError) for each in found)
        return any(
            each != before if not isinstance(each, LatentryError) else bool(each.why) or name in str(each)
            for each in found
        )

    return [name for name in values if not any(counts(name, beside) for beside in ({}, *BESIDE.get(name, ())))]


def _drawn(engine: Engine, field: str, options: dict[str, Any], base: dict[str, Any]) -> Any:
    """The latents, or the error with which they are refused; a scheduler that fails is another matter."""
    try:
        return _latents(engine, **base, **{field: options})
    except (OptionError, IncompatibleError, NonFiniteError) as error:
        return error


def _names(kind: str) -> list[str]:
    host = PluginHost()
    return list(getattr(host, kind))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "steps"), [*zip(KINDS, STEPS, strict=True)])
@pytest.mark.parametrize("name", _names("schedulers"))
def test_a_schedulers_option(engine: Engine, models: dict[str, str], name: str, kind: str, steps: int) -> None:
    if kind not in engine.host.schedulers[name].processes:
        pytest.skip("not for such models")
    default = engine.host.schedulers.create(name)
    options = [option for option in options_of(default) if getattr(default, next(iter(option))) not in option.values()]
    options = [option for option in options if not ELSEWHERE & set(option)]
    if hasattr(default, "guard_limit"):  # this network never leads as far out as the limits that are drawn
        options.append({"guard_limit": TIGHT})
    assert _useless(engine, "scheduler_options", options, model=models[kind], scheduler=name, steps=steps) == []


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "steps"), [*zip(KINDS, STEPS, strict=True)])
@pytest.mark.parametrize("name", _names("sigma_schedules"))
def test_a_sigma_schedules_option(engine: Engine, models: dict[str, str], name: str, kind: str, steps: int) -> None:
    if kind not in engine.host.sigma_schedules[name].processes:
        pytest.skip("not for such models")
    base = {"model": models[kind], "scheduler": "euler", "sigmas": name, "steps": steps}
    try:
        engine.prepare(GenerationRequest(prompt="a", **base))
    except LatentryError as error:
        pytest.skip(str(error))  # such as more steps than a distilled schedule has levels
    default = engine.host.sigma_schedules.create(name)
    options = [option for option in options_of(default) if getattr(default, next(iter(option))) not in option.values()]
    assert _useless(engine, "sigma_options", options, **base) == []


@pytest.mark.parametrize(
    ("scheduler", "options"),
    [
        ("euler", {"churn_noise": 1.1}),
        ("heun", {"churn_min": 0.5}),
        ("er-sde", {"eta": 0.5}),
        ("unipc", {"threshold_maximum": 2.0}),
        ("euler-ancestral", {"eta": 0.0, "noise_scale": 2.0}),
    ],
)
def test_an_option_that_needs_another_is_refused(
    engine: Engine, models: dict[str, str], scheduler: str, options: dict[str, Any]
) -> None:
    request = GenerationRequest(prompt="a", model=models["vp"], scheduler=scheduler, scheduler_options=options)
    with pytest.raises(OptionError, match="no effect") as caught:
        engine.prepare(request)
    assert caught.value.field == "scheduler_options"
    assert [*options][-1] in caught.value.what


@pytest.mark.parametrize(
    ("scheduler", "options"),
    [
        ("euler", {"churn": 5.0, "churn_noise": 1.1}),
        ("euler", {"churn": 5.0, "churn_max": 5000.0}),  # a limit that is not reached: EDM's published settings
        ("er-sde", {"phi": "power", "eta": 0.5}),
        ("unipc", {"threshold": 0.9, "threshold_maximum": 100.0}),
        ("heun", {"longest_step": 1000.0}),
        ("dpmpp-2m", {"guard": False}),  # the dry run stays below its limit
    ],
)
def test_a_limit_that_is_not_reached_is_taken(
    engine: Engine, models: dict[str, str], scheduler: str, options: dict[str, Any]
) -> None:
    request = GenerationRequest(
        prompt="a", model=models["vp"], steps=12, scheduler=scheduler, scheduler_options=options
    )
    setup, asked = engine.prepare(request), engine.host.schedulers.create(scheduler, **options)
    if isinstance(asked, Guarded) and asked.guard:  # the engine knows that there is no guidance
        asked = asked.model_copy(update={"guard_limit": 1.0})
    assert setup.plan.scheduler == asked
    assert setup.request.scheduler_options == asked.model_dump()


def test_options_that_came_with_a_name_are_never_refused(engine: Engine, models: dict[str, str]) -> None:
    """And what was decided for them can be asked for again."""
    from latentry.names import understand

    brought = 0
    for name in ("DPMSolverMultistepScheduler", "UniPCMultistepScheduler", "k_euler", "dpmpp_2m", "DDIM", "ipndm_v"):
        for steps in STEPS:
            brought += bool(understand(engine.host, name).options)
            request = GenerationRequest(prompt="a", model=models["vp"], scheduler=name, seed=1, steps=steps)
            setup = engine.prepare(request)
            again = engine.prepare(setup.request)
            assert again.request == setup.request
            assert engine.generate(setup.request).latents.tolist() == engine.generate(request).latents.tolist()
    assert brought > 0
