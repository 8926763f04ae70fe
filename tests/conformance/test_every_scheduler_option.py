"""Every option of every installed scheduler and sigma schedule changes the picture, or is refused."""

from __future__ import annotations

from typing import Any

import pytest
from support.option_values import options_of
from support.toy import PLUGIN, write_toy

from latentry import Engine, GenerationRequest, LatentryError, OptionError, PluginHost

KINDS = ("vp", "flow")
STEPS = (5, 12)
TIGHT = 1e-6
BESIDE: dict[str, dict[str, Any]] = {
    "accept_safety": {"first_step": 8.0, "rtol": 0.001},
    "guard": {"guard_limit": TIGHT},
}
"""Options that make another one bind, where this network is too easy for it: here no step would ever be rejected."""


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
    """Options that are taken and change nothing, with any of the values."""
    plain = _latents(engine, **base)
    taken: dict[str, list[bool]] = {}
    for option in options:
        (name,) = option
        beside = BESIDE.get(name, {})
        before = _latents(engine, **base, **{field: beside}) if beside else plain
        try:
            counts = _latents(engine, **base, **{field: {**beside, **option}}) != before
        except LatentryError as error:
            counts = bool(error.why) or name in str(error)  # refused, with a reason
        taken.setdefault(name, []).append(counts)
    return [name for name, counts in taken.items() if not any(counts)]


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
    ],
)
def test_a_limit_that_is_not_reached_is_taken(
    engine: Engine, models: dict[str, str], scheduler: str, options: dict[str, Any]
) -> None:
    request = GenerationRequest(prompt="a", model=models["vp"], scheduler=scheduler, scheduler_options=options)
    assert engine.prepare(request).plan.scheduler == engine.host.schedulers.create(scheduler, **options)


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
