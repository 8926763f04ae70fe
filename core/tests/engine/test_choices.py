"""What a request leaves open, and who decides it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.toy import write_toy

from latentry import (
    Engine,
    Flow,
    GenerationRequest,
    IncompatibleError,
    ModelError,
    OptionError,
    PluginError,
    PluginHost,
    Prediction,
    ResourceError,
    Setup,
    UnknownName,
)
from latentry.models import flow_settings, variance_preserving_settings


def setup(engine: Engine, model: str, **wanted: Any) -> Setup:
    return engine.prepare(GenerationRequest(prompt="a", model=model, **wanted))


def test_the_scheduler_is_the_variants_most_preferred_that_is_installed(engine: Engine, model: str) -> None:
    assert setup(engine, model).request.scheduler == "toy:first"


def test_the_scheduler_is_the_users_first_of_all(engine: Engine, model: str) -> None:
    assert setup(engine, model, scheduler="noisy").request.scheduler == "toy:noisy"
    assert setup(engine, model, scheduler="toy:noisy").request.scheduler == "toy:noisy"


def test_no_other_scheduler_is_silently_substituted(engine: Engine, tmp_path: Path) -> None:
    model = str(write_toy(tmp_path / "lonely", variants=["lonely"]))
    with pytest.raises(PluginError, match="None of the schedulers that lonely prefers") as caught:
        setup(engine, model)
    assert "install latentry-absent" in caught.value.remedy
    assert "first" in caught.value.why


def test_an_unknown_scheduler_is_an_error_with_the_nearest(engine: Engine, model: str) -> None:
    with pytest.raises(UnknownName, match="frist") as caught:
        setup(engine, model, scheduler="frist")
    assert "first" in str(caught.value)


def test_options_of_the_scheduler_are_checked(engine: Engine, model: str) -> None:
    assert setup(engine, model, scheduler="halving", scheduler_options={"least": 2}).plan.scheduler.least == 2  # type: ignore[attr-defined]
    with pytest.raises(OptionError, match="lest") as caught:
        setup(engine, model, scheduler="halving", scheduler_options={"lest": 2})
    assert "least" in str(caught.value)
    with pytest.raises(OptionError, match="least"):
        setup(engine, model, scheduler="halving", scheduler_options={"least": "much"})


def test_a_scheduler_for_other_processes_is_refused(engine: Engine, model: str) -> None:
    with pytest.raises(IncompatibleError, match="'flow-only' cannot be used") as caught:
        setup(engine, model, scheduler="flow-only")
    assert "supports flow" in caught.value.why
    assert "this model's is vp" in caught.value.why
    assert "first" in caught.value.remedy
    assert "flow-only" not in caught.value.remedy


def test_the_process_and_the_prediction_are_the_checkpoints(engine: Engine, tmp_path: Path) -> None:
    model = write_toy(tmp_path / "eps", prediction="epsilon")
    plan = setup(engine, str(model)).plan
    assert (plan.process.kind, plan.prediction) == ("vp", Prediction.EPSILON)
    flow = write_toy(tmp_path / "flow", kind="flow")
    plan = setup(engine, str(flow), sigmas=(1.0, 0.5)).plan
    assert (plan.process.kind, plan.prediction) == ("flow", Prediction.FLOW)


def test_the_sigmas_are_the_schedulers_preference(engine: Engine, model: str) -> None:
    chosen = setup(engine, model, steps=10)
    assert (chosen.request.sigmas, chosen.request.final) == ("latentry:trailing", "table")
    assert [p.timestep for p in chosen.plan.points] == [999 - 100 * i for i in range(10)] + [0]


def test_a_preference_may_hold_for_few_steps_only(engine: Engine, model: str) -> None:
    few, many = (setup(engine, model, scheduler="by-steps", steps=steps) for steps in (5, 6))
    assert (few.request.sigmas, few.request.final) == ("latentry:leading", "zero")
    assert few.plan.points[-2].timestep == 3
    assert many.request.sigmas == "latentry:linspace"


def test_the_checkpoint_may_demand_its_sigmas(engine: Engine, tmp_path: Path) -> None:
    model = str(write_toy(tmp_path / "demanding", demand=True))
    assert setup(engine, model).request.sigmas == "latentry:linspace"
    assert setup(engine, model, sigmas="leading").request.sigmas == "latentry:leading"


def test_the_users_sigmas_end_at_zero_by_default(engine: Engine, model: str) -> None:
    assert setup(engine, model, sigmas="trailing").plan.points[-1].sigma == 0.0
    assert setup(engine, model, sigmas="trailing", final="table").plan.points[-1].timestep == 0.0
    assert setup(engine, model, final="zero").plan.points[-1].sigma == 0.0


def test_options_of_the_sigmas_reach_the_schedule(engine: Engine, model: str) -> None:
    points = setup(engine, model, sigmas="leading", sigma_options={"offset": 7}, steps=4).plan.points
    assert [p.timestep for p in points[:-1]] == [757, 507, 257, 7]
    with pytest.raises(OptionError, match="ofset"):
        setup(engine, model, sigmas="leading", sigma_options={"ofset": 7})


def test_sigmas_that_make_no_sense_on_the_process_are_refused(engine: Engine, tmp_path: Path) -> None:
    model = str(write_toy(tmp_path / "flow", kind="flow"))
    with pytest.raises(IncompatibleError, match=r"leading.*cannot be used with this model"):
        setup(engine, model, sigmas="leading")


def test_the_time_shift_is_the_checkpoints_unless_the_user_gives_one(engine: Engine, tmp_path: Path) -> None:
    model = str(write_toy(tmp_path / "flow", kind="flow", shift=3.0))
    plain = str(write_toy(tmp_path / "plain", kind="flow"))
    for sigmas in (None, "karras"):
        even = setup(engine, plain, steps=4, sigmas=sigmas)
        chosen = setup(engine, model, steps=4, sigmas=sigmas)
        assert chosen.request.sigma_options["shift"] == 3.0
        inner = zip(chosen.plan.points[1:-1], even.plan.points[1:-1], strict=True)
        assert all(point.s == pytest.approx(3.0 * before.s) for point, before in inner)
        own = setup(engine, model, steps=4, sigmas=sigmas, sigma_options={"shift": 1.0})
        assert own.plan == even.plan


def test_levels_that_stand_as_they_are_take_no_shift(engine: Engine, tmp_path: Path) -> None:
    model = str(write_toy(tmp_path / "flow", kind="flow", shift=3.0))
    plan = setup(engine, model, sigmas=(1.0, 0.5)).plan
    assert [point.sigma for point in plan.points] == [1.0, 0.5, 0.0]


def test_a_list_of_levels_is_used_as_given(engine: Engine, model: str) -> None:
    chosen = setup(engine, model, sigmas=(10.0, 2.0, 0.5))
    assert [p.s for p in chosen.plan.points] == pytest.approx([10.0, 2.0, 0.5, 0.0])
    assert (chosen.request.sigmas, chosen.request.steps) == ((10.0, 2.0, 0.5), 3)
    assert "sigmas" not in chosen.plugins


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"sigmas": (2.0, 1.0), "steps": 5}, "2 sigmas cannot be used for 5 steps"),
        ({"sigmas": ()}, "at least 1|1 to"),
        ({"sigmas": (1.0, 2.0)}, "fall|rise"),
        ({"sigmas": (-1.0,)}, "not a noise level"),
        ({"steps": 1001}, "1001 steps cannot be laid out"),
    ],
    ids=str,
)
def test_invalid_levels_are_one_clear_error(engine: Engine, model: str, wanted: dict[str, Any], message: str) -> None:
    with pytest.raises((OptionError, IncompatibleError), match=message):
        setup(engine, model, **wanted)


def test_steps_guidance_and_size_come_from_the_variant_and_the_checkpoint(engine: Engine, model: str) -> None:
    request = setup(engine, model).request
    assert (request.steps, request.guidance, request.width, request.height) == (6, 2.0, 32, 32)
    request = setup(engine, model, steps=3, guidance=0.0, width=64).request
    assert (request.steps, request.guidance, request.width, request.height) == (3, 0.0, 64, 32)


def test_the_guidance_scale_may_be_the_schedulers(engine: Engine, tmp_path: Path) -> None:
    flow = str(write_toy(tmp_path / "flow", kind="flow"))
    assert setup(engine, flow, scheduler="flow-only").request.guidance == 0.7
    assert setup(engine, flow, scheduler="flow-only", guidance=3.0).request.guidance == 3.0
    assert setup(engine, flow, scheduler="flow-only", guidance_method="carrying").request.guidance == 2.5
    assert setup(engine, flow, scheduler="first").request.guidance == 2.0
    told = str(write_toy(tmp_path / "told", kind="flow", variants=["told"]))  # takes its scale as an input
    assert setup(engine, told, scheduler="flow-only").request.guidance == 3.5


def test_one_step_is_enough_for_a_scheduler_that_divides_it(engine: Engine, model: str) -> None:
    assert setup(engine, model, scheduler="halving").request.steps == 1
    assert setup(engine, model, scheduler="halving", steps=3).request.steps == 3
    assert setup(engine, model, scheduler="halving", sigmas=(4.0, 1.0)).request.steps == 2
    picture = Image.new("RGB", (32, 32))
    for strength, mode, steps in ((0.5, "cut", 6), (0.5, "full", 1), (1.0, "cut", 1)):
        wanted = GenerationRequest(prompt="a", model=model, scheduler="halving", strength=strength, strength_mode=mode)
        assert engine.prepare(wanted, init_image=picture).request.steps == steps


def test_a_seed_is_drawn_and_recorded(engine: Engine, model: str) -> None:
    seeds = {setup(engine, model).request.seed for _ in range(4)}
    assert None not in seeds
    assert len(seeds) == 4
    assert setup(engine, model, seed=0).request.seed == 0


def test_a_decided_request_is_decided_the_same_way_again(engine: Engine, model: str) -> None:
    for wanted in ({}, {"scheduler": "noisy"}, {"sigmas": (3.0, 1.0)}, {"sigmas": "leading", "steps": 9}):
        once = setup(engine, model, **wanted)
        again = engine.prepare(GenerationRequest.model_validate_json(once.request.model_dump_json()))
        assert again.request == once.request
        assert again.plan == once.plan


def test_deciding_loads_nothing(host: PluginHost, tmp_path: Path) -> None:
    model = write_toy(tmp_path / "fails", fails="loading")
    assert Engine(host).prepare(GenerationRequest(prompt="a", model=str(model))).plan.evaluations == 6


def test_auto_takes_the_best_attention_that_can(engine: Engine, model: str) -> None:
    chosen = setup(engine, model)
    assert chosen.request.attention == "toy:able,native"  # it takes float32 alone: others are left to torch
    assert chosen.plugins["attention"].name == "toy:able"


def test_native_attention_has_no_plugin(engine: Engine, model: str) -> None:
    chosen = setup(engine, model, attention="native")
    assert chosen.request.attention == "native"
    assert "attention" not in chosen.plugins


def test_without_a_backend_auto_is_native_and_stays_so(engine: Engine, model: str) -> None:
    request = setup(engine, model, dtype="float16").request
    assert request.attention == "native"  # no backend of the toys takes float16
    again = engine.prepare(request.model_copy(update={"dtype": "float32"}))
    assert again.request.attention == "native"


@pytest.mark.parametrize(
    ("name", "why"),
    [("unable", "the moon is not full"), ("broken", "driver not found"), ("distant", "supports cuda, not cpu")],
)
def test_attention_requested_by_name_that_cannot_serve_says_why(
    engine: Engine, model: str, name: str, why: str
) -> None:
    with pytest.raises(IncompatibleError, match=f"{name!r} cannot serve here") as caught:
        setup(engine, model, attention=name, device="cpu")
    assert why in caught.value.why


def test_attention_for_other_dtypes_says_so(engine: Engine, model: str) -> None:
    with pytest.raises(IncompatibleError) as caught:
        setup(engine, model, attention="able", dtype="float16")
    assert "supports float32, not float16" in caught.value.why


def test_unknown_attention_is_unknown(engine: Engine, model: str) -> None:
    with pytest.raises(UnknownName):
        setup(engine, model, attention="abel")


@pytest.mark.parametrize("device", ["warp", "cuda:99", "meta"])
def test_a_device_that_is_not_there_is_refused(engine: Engine, model: str, device: str) -> None:
    with pytest.raises((OptionError, ResourceError), match=device):
        setup(engine, model, device=device)


def test_a_size_the_model_cannot_do_is_refused(engine: Engine, model: str) -> None:
    with pytest.raises(OptionError, match="cannot draw 30×32"):
        setup(engine, model, width=30)


def test_an_unknown_variant_is_refused(engine: Engine, model: str) -> None:
    with pytest.raises(ModelError, match="has no variant 'huge'") as caught:
        setup(engine, model, variant="huge")
    assert "small" in caught.value.remedy


def test_a_checkpoint_that_can_be_several_variants_needs_a_variant(engine: Engine, tmp_path: Path) -> None:
    model = str(write_toy(tmp_path / "twin", variants=["small", "lonely"]))
    with pytest.raises(ModelError, match="can be any of small, lonely") as caught:
        setup(engine, model)
    assert caught.value.field == "variant"
    assert setup(engine, model, variant="small").located.variant.name == "small"


def test_an_uncertain_match_is_not_a_default(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a model that an installed family recognises") as caught:
        setup(engine, str(write_toy(tmp_path / "unsure", score=0.4)))
    assert "toy:toy-vp (40%: it says so)" in caught.value.why


def test_an_installed_model_without_its_files_says_so(engine: Engine) -> None:
    with pytest.raises(ModelError, match="files of the installed model 'lost' are missing"):
        setup(engine, "lost")


def test_without_a_model_the_installed_default_is_needed(engine: Engine) -> None:
    with pytest.raises(ModelError, match="No model was given") as caught:
        engine.prepare(GenerationRequest(prompt="a"))
    assert caught.value.field == "model"


def test_a_host_without_families_says_so(model: str) -> None:
    with pytest.raises(ModelError, match="No model family is installed"):
        Engine(PluginHost(load=())).prepare(GenerationRequest(prompt="a", model=model))


@pytest.mark.parametrize(
    "config",
    [
        {"trained_betas": []},
        {"num_train_timesteps": 1},
        {"num_train_timesteps": "many"},
        {"beta_start": "x"},
        {"beta_start": 0.5, "beta_end": 1.5},
        {"trained_betas": [0.1, "x"]},
        {"beta_schedule": "sigmoid"},
        {"prediction_type": "flow_prediction"},
        {"prediction_type": None},
    ],
    ids=str,
)
def test_an_invalid_scheduler_configuration_is_one_clear_error(config: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"scheduler_config\.json"):
        variance_preserving_settings(config)


def test_a_flow_configuration_gives_a_flow() -> None:
    found = flow_settings({"num_train_timesteps": 1000, "shift": 3.0})
    assert (found.process, found.prediction, found.demand) == (Flow(), Prediction.FLOW, None)
    assert flow_settings({"num_train_timesteps": 500}).process.at(timestep=250).sigma == 0.5
    assert flow_settings({}) == found


@pytest.mark.parametrize("timesteps", [0, -1, "many", 1.5, None])
def test_a_flow_configuration_without_timesteps_is_one_clear_error(timesteps: object) -> None:
    with pytest.raises(ModelError, match=r"scheduler_config\.json"):
        flow_settings({"num_train_timesteps": timesteps})


def test_a_trailing_spacing_is_demanded_and_any_other_is_a_habit() -> None:
    demand = variance_preserving_settings({"timestep_spacing": "trailing"}).demand
    assert demand is not None
    assert demand.name == "latentry:trailing"
    assert variance_preserving_settings({"timestep_spacing": "linspace"}).demand is None
