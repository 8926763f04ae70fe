"""What pipelines ask of a scheduler besides its steps: saving, copying, counting, noise, dtypes, refusals."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    UniPCMultistepScheduler,
)
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from latentry import IncompatibleError, OptionError, PluginHost, Trailing, UnknownName
from latentry_bridge_diffusers import LatentryScheduler, SchedulerMixin, scheduler
from latentry_bridge_diffusers._noise import PipelineNoise

STOCK = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False)
FLOW = FlowMatchEulerDiscreteScheduler(shift=3.0)


def _net(x: Tensor, t: Tensor) -> Tensor:
    """A stand-in for a network, smooth in both arguments."""
    return torch.tanh(x) * 0.3 + 0.01 * x * (t / 1000)


def _loop(made: Any, x: Tensor, **given: Any) -> Tensor:
    for t in made.timesteps:
        x = made.step(_net(made.scale_model_input(x, t), t), t, x, **given, return_dict=False)[0]
    return x


def _single() -> list[str]:
    host = PluginHost()
    return [n for n in host.schedulers if host.schedulers[n].evaluations == 1 and not host.schedulers[n].needs]


def _all() -> list[str]:
    host = PluginHost()
    return [n for n in host.schedulers if not (host.schedulers[n].adaptive or host.schedulers[n].needs)]


@pytest.mark.slow
@pytest.mark.parametrize("stock", [STOCK, FLOW], ids=["vp", "flow"])
@pytest.mark.parametrize("name", _all())
def test_every_scheduler_gives_what_its_own_run_gives(name: str, stock: Any) -> None:
    spec = PluginHost().schedulers[name]
    kind = "flow" if stock is FLOW else "vp"
    if kind not in spec.processes:
        with pytest.raises(IncompatibleError):
            scheduler(name, stock)
        return
    made = scheduler(name, stock, sigmas="trailing", seed=3)
    made.set_timesteps(7)
    start = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1)) * made.init_noise_sigma
    plan = (
        PluginHost()
        .schedulers.create(name)
        .plan(
            7,
            process=made._training.process,
            prediction=made._training.prediction,
            sigmas=Trailing(shift=3.0) if kind == "flow" else Trailing(),
        )
    )
    run, asked = plan.start(start, seed=3), 0
    while (query := run.query) is not None:
        run.advance(_net(query.input, torch.tensor(query.timestep)))
        asked += 1
    assert len(made.timesteps) == asked == plan.evaluations
    assert torch.equal(_loop(made, start), run.sample)


@pytest.mark.slow
@pytest.mark.parametrize("name", _all())
def test_a_run_that_begins_late_is_the_plans_rest(name: str) -> None:
    """Image to image: the pipeline slices ``timesteps[start * order:]``."""
    made = scheduler(name, STOCK, sigmas="trailing", seed=3)
    made.set_timesteps(6)
    clean = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    begin = 2 * made.order
    made.set_begin_index(begin)
    x = made.add_noise(clean, noise, made.timesteps[begin : begin + 1])
    plan = (
        PluginHost()
        .schedulers.create(name)
        .plan(6, process=made._training.process, prediction=made._training.prediction, sigmas=Trailing())
    )
    run = plan[2:].start(plan.points[2].mix(clean, noise), seed=3)
    while (query := run.query) is not None:
        run.advance(_net(query.input, torch.tensor(query.timestep)))
    for t in made.timesteps[begin:]:
        x = made.step(_net(x, t), t, x, return_dict=False)[0]
    assert torch.equal(x, run.sample)


@pytest.mark.parametrize("start", range(0, 20, 3))
def test_a_run_begins_behind_a_step_of_more_evaluations(start: int) -> None:
    """One of restart's steps takes 12 evaluations, the others 2; entries that are left over change nothing."""
    made = scheduler("restart", STOCK, seed=3)
    made.set_timesteps(20)
    plan = made._entries.plan
    assert (made.order, max(plan.evaluations_by_step)) == (2, 12)
    cut = made.timesteps[start * made.order :]
    made.set_begin_index(start * made.order)
    clean, noise = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    x = made.add_noise(clean, noise, cut[:1])
    run = plan[start:].start(plan.points[start].mix(clean, noise), seed=3)
    while (query := run.query) is not None:
        run.advance(_net(query.input, torch.tensor(query.timestep)))
    for t in cut:
        x = made.step(_net(x, t), t, x, return_dict=False)[0]
    assert torch.equal(x, run.sample)


@pytest.mark.parametrize("start", [1, 3, 5])
@pytest.mark.parametrize("name", ["dpm2", "res-2s", "seeds-3", "pndm"])
def test_a_late_run_begins_at_its_step_where_the_first_takes_fewer_evaluations(name: str, start: int) -> None:
    """On rectified flows the first step takes one evaluation, so that entries before a step are not ``order`` each."""
    ends = []
    for late in (True, False):
        made = scheduler(name, FLOW, sigmas="trailing", seed=3, begins_late=late)
        made.set_timesteps(6)
        plan, cut = made._entries.plan, made.timesteps[start * made.order :]
        assert len(made.timesteps) == plan.evaluations + (made.order - 1 if late else 0)
        if not late and made.order * start >= len(made.timesteps):
            with pytest.raises(OptionError, match="strength"):
                made.set_begin_index(start * made.order)
            continue
        made.set_begin_index(start * made.order)
        clean, noise = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
        x = made.scale_noise(clean, cut[:1], noise)
        for t in cut:
            x = made.step(_net(x, t), t, x, return_dict=False)[0]
        ends.append(x)
    run = plan[start:].start(plan.points[start].mix(clean, noise), seed=3)
    while (query := run.query) is not None:
        run.advance(_net(query.input, torch.tensor(query.timestep)))
    assert torch.equal(ends[0], run.sample)
    assert name != "pndm" or torch.equal(*ends)  # it has nothing to spare


def test_samples_handed_over_where_entries_and_steps_differ_are_refused() -> None:
    """``denoising_start`` counts entries and adds no noise."""
    made = scheduler("pndm", STOCK)
    made.set_timesteps(6)
    made.set_begin_index(3)
    with pytest.raises(IncompatibleError, match="handed over"):
        made.step(torch.zeros(1, 4, 8, 8), made.timesteps[3], torch.zeros(1, 4, 8, 8))


def test_a_copied_list_or_one_cut_in_silence_is_refused_where_the_entries_change() -> None:
    made, x = scheduler("pndm", STOCK), torch.zeros(1, 4, 8, 8)
    made.set_timesteps(6)
    with pytest.raises(IncompatibleError, match="set_begin_index was not called"):
        made.step(x, made.timesteps[3], x)
    made.set_timesteps(6)
    copied = made.timesteps.clone()
    made.set_begin_index(3)
    x = made.add_noise(x, x, made.timesteps[3:4])
    with pytest.raises(IncompatibleError, match="copied"):
        made.step(x, copied[3], x)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["heun", "restart"])
def test_a_pipeline_that_passes_sigmas_begins_at_the_entry_that_it_counted(name: str) -> None:
    made = scheduler(name, FLOW, seed=3)
    made.set_timesteps(sigmas=[1.0, 0.9, 0.7, 0.5, 0.3, 0.1])
    assert made.order == 1
    made.set_begin_index(3)  # the second evaluation of the second step, so the third step is the first
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    run = made._entries.plan[2:].start(x, seed=3)
    while (query := run.query) is not None:
        run.advance(_net(query.input, torch.tensor(query.timestep)))
    for t in made.timesteps[3:]:
        x = made.step(_net(x, t), t, x, return_dict=False)[0]
    assert torch.equal(x, run.sample)


def test_a_run_cannot_begin_behind_its_last_timestep() -> None:
    made = scheduler("heun", STOCK)
    made.set_timesteps(3)
    with pytest.raises(OptionError, match="entry 5 of 5"):
        made.set_begin_index(5)
    made.set_begin_index(4)
    assert made.begin_index == 4


@pytest.mark.slow
@pytest.mark.parametrize("at", [0, 1, 3, 4])
@pytest.mark.parametrize("name", ["unipc", "heun", "dpmpp-sde", "euler-ancestral", "er-sde"])
def test_a_copy_in_the_middle_of_a_run_finishes_equal(name: str, at: int) -> None:
    made = scheduler(name, STOCK, sigmas="trailing")
    made.set_timesteps(4)
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(5)
    for t in made.timesteps[:at]:
        x = made.step(_net(x, t), t, x, generator=generator, return_dict=False)[0]
    twin, twin_generator = copy.deepcopy(made), torch.Generator()
    twin_generator.set_state(generator.get_state())
    first, second = x, x
    for t in made.timesteps[at:]:
        first = made.step(_net(first, t), t, first, generator=generator, return_dict=False)[0]
    for t in twin.timesteps[at:]:
        second = twin.step(_net(second, t), t, second, generator=twin_generator, return_dict=False)[0]
    assert torch.equal(first, second)


def test_a_copy_draws_from_its_own_generator() -> None:
    """Both runs take turns, each with its own generator; neither sees the other's draws."""
    made = scheduler("euler-ancestral", STOCK, sigmas="trailing")
    made.set_timesteps(4)
    start = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    x = made.step(_net(start, made.timesteps[0]), made.timesteps[0], start, return_dict=False)[0]
    twin, alone = copy.deepcopy(made), copy.deepcopy(made)
    seeds = {id(made): 5, id(twin): 6, id(alone): 6}
    ends = {key: (x, torch.Generator().manual_seed(seed)) for key, seed in seeds.items()}
    for each, times in ((alone, made.timesteps[1:]), (None, made.timesteps[1:])):
        for t in times:
            for one in (each,) if each else (made, twin):
                sample, generator = ends[id(one)]
                following = one.step(_net(sample, t), t, sample, generator=generator, return_dict=False)[0]
                ends[id(one)] = following, generator
    assert torch.equal(ends[id(twin)][0], ends[id(alone)][0])
    assert not torch.equal(ends[id(twin)][0], ends[id(made)][0])


def test_a_run_that_begins_between_two_evaluations_begins_with_the_next_step() -> None:
    """A pipeline that counts entries and not steps can cut Heun's list there; noise is added for where it begins."""
    made = scheduler("heun", STOCK, sigmas="trailing")
    made.set_timesteps(5)
    clean = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    ends = []
    for begin in (1, 2):
        made.set_timesteps(5)
        made.set_begin_index(begin)
        x = made.add_noise(clean, noise, made.timesteps[begin : begin + 1])
        for t in made.timesteps[begin:]:
            x = made.step(_net(x, t), t, x, return_dict=False)[0]
        ends.append(x)
    assert torch.equal(*ends)


def test_generators_of_each_row_draw_alone() -> None:
    made = scheduler("euler-ancestral", STOCK)
    made.set_timesteps(5)
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    both = _loop(made, x, generator=[torch.Generator().manual_seed(seed) for seed in (5, 6)])
    made.set_timesteps(5)
    alone = _loop(made, x[1:], generator=[torch.Generator().manual_seed(6)])
    assert torch.allclose(both[1:], alone, atol=1e-6)
    made.set_timesteps(5)
    assert not torch.equal(both, _loop(made, x, generator=[torch.Generator().manual_seed(seed) for seed in (7, 6)]))


def test_without_a_generator_noise_follows_the_first_sample() -> None:
    """SD3 and FLUX pass none: another seed of the user's gives another start, and with it other noise."""
    made = scheduler("euler-ancestral", FLOW)
    start = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    ends = []
    for x in (start[0], start[0], start[1]):
        made.set_timesteps(5)
        ends.append(_loop(made, x))
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])


def test_a_seed_that_is_made_of_the_first_sample() -> None:
    like, first = torch.zeros(1, 4, 8, 8), torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(1))

    def drawn(seed: int | None, sample: Tensor) -> Tensor:
        return PipelineNoise(seed, sample)(like, 0, 0, None)

    assert torch.equal(drawn(None, first[0]), drawn(None, first[0].clone()))
    assert not torch.equal(drawn(None, first[0]), drawn(None, first[1]))
    assert torch.equal(drawn(3, first[0]), drawn(3, first[1]))
    assert not torch.equal(drawn(3, first[0]), drawn(4, first[0]))


def test_half_precision_keeps_float32_inside() -> None:
    made = scheduler("unipc", STOCK)
    made.set_timesteps(12)
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))

    def run(begin: Tensor, *, copied: bool) -> Tensor:
        made.set_timesteps(12)
        sample = begin
        for t in made.timesteps:
            sample = made.step(_net(sample.float(), t), t, sample, return_dict=False)[0]
            sample = sample.clone() if copied else sample
        return sample

    exact = run(x, copied=False)
    kept, lost = run(x.bfloat16(), copied=False), run(x.bfloat16(), copied=True)
    assert kept.dtype == torch.bfloat16
    assert (kept.float() - exact).abs().mean() < (lost.float() - exact).abs().mean()


class _Reads(TorchDispatchMode):
    """Counts reads of a tensor's value on the host."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@pytest.mark.slow
@pytest.mark.parametrize("name", _single())
def test_a_step_reads_no_value_from_the_device(name: str) -> None:
    made = scheduler(name, STOCK, seed=1)
    made.set_timesteps(5)
    x = torch.randn(1, 4, 8, 8)
    with _Reads() as reads:
        _loop(made, x)
    assert reads.count == 0


def test_a_step_answers_with_an_object_or_a_tuple() -> None:
    made = scheduler("ddim", STOCK)
    made.set_timesteps(3)
    x = torch.zeros(1, 4, 8, 8)
    assert made.step(x, made.timesteps[0], x).prev_sample.shape == x.shape


@pytest.mark.slow
def test_a_pipelines_eta_is_taken_where_there_is_one() -> None:
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))

    def end(made: Any, **given: Any) -> Tensor:
        made.set_timesteps(5)
        return _loop(made, x, generator=torch.Generator().manual_seed(2), **given)

    own = end(scheduler("ddim", STOCK, eta=0.7), eta=0.0)
    assert torch.equal(own, end(scheduler("ddim", STOCK), eta=0.7))
    assert not torch.equal(own, end(scheduler("ddim", STOCK), eta=0.0))
    with pytest.raises(TypeError):
        end(scheduler("unipc", STOCK), eta=0.5)


@pytest.mark.parametrize(
    "stock",
    [
        STOCK,
        EulerDiscreteScheduler.from_config(STOCK.config),
        DPMSolverMultistepScheduler.from_config(STOCK.config, use_karras_sigmas=True, final_sigmas_type="zero"),
        UniPCMultistepScheduler(use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=3.0),
        FLOW,
    ],
    ids=lambda stock: type(stock).__name__,
)
def test_on_the_stock_grid_networks_are_shown_the_stock_timesteps(stock: Any) -> None:
    """To the bit, rounded ones too; and a picture gets the noise that the stock scheduler gives it there."""
    made = scheduler("euler", stock, sigmas="stock")
    for each in (made, stock):
        each.set_timesteps(7)
    assert torch.equal(made.timesteps, stock.timesteps.float())
    clean, noise = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    if isinstance(stock, FlowMatchEulerDiscreteScheduler):
        expected = stock.scale_noise(clean, stock.timesteps[2:3], noise)
    else:
        expected = stock.add_noise(clean, noise, stock.timesteps[2:3])
    alpha = made._queries[2].point.alpha if isinstance(stock, EulerDiscreteScheduler) else 1.0  # it holds x/α
    assert torch.allclose(made.add_noise(clean, noise, made.timesteps[2:3]), expected * alpha, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["unipc", "heun", "ddim"])
def test_saved_and_loaded_in_a_new_process(name: str, tmp_path: Path) -> None:
    made = scheduler(name, STOCK, sigmas="karras", sigma_options={"rho": 5.0})
    made.save_pretrained(tmp_path)
    made.set_timesteps(6)
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    expected = _loop(made, x)
    script = f"""
import sys, torch
from latentry_bridge_diffusers import LatentryScheduler
made = LatentryScheduler.from_pretrained({str(tmp_path)!r})
made.set_timesteps(6)
x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
for t in made.timesteps:
    x = made.step(torch.tanh(x) * 0.3 + 0.01 * x * (t / 1000), t, x, return_dict=False)[0]
torch.save(x, {str(tmp_path / "x.pt")!r})
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    assert torch.equal(torch.load(tmp_path / "x.pt"), expected)


@pytest.mark.slow
def test_a_saved_pipeline_draws_the_same_in_a_new_process(pipeline: Any, draw: Any, tmp_path: Path) -> None:
    pipe = pipeline("shapes")
    pipe.scheduler = scheduler("unipc", pipe, sigmas="karras", order=3)
    expected = draw(pipe, "shapes")
    pipe.save_pretrained(tmp_path / "saved")
    index = json.loads((tmp_path / "saved/model_index.json").read_text())
    assert index["scheduler"] == ["latentry_bridge_diffusers", "LatentryScheduler"]
    script = f"""
import torch, latentry_bridge_diffusers
from diffusers import StableDiffusionPipeline
pipe = StableDiffusionPipeline.from_pretrained({str(tmp_path / "saved")!r}, torch_dtype=torch.float32)
x = pipe("a red circle left of a blue square", num_inference_steps=6, guidance_scale=1.0, height=64, width=64,
         generator=torch.Generator().manual_seed(7), output_type="latent").images
torch.save(x, {str(tmp_path / "x.pt")!r})
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    assert torch.equal(torch.load(tmp_path / "x.pt"), expected)


def test_a_saved_scheduler_that_is_not_installed_says_what_to_install(tmp_path: Path) -> None:
    scheduler("unipc", STOCK).save_pretrained(tmp_path)
    file = tmp_path / "scheduler_config.json"
    file.write_text(file.read_text().replace("latentry-unipc:unipc", "latentry-mine:mine"))
    with pytest.raises(UnknownName, match="mine"):
        LatentryScheduler.from_pretrained(tmp_path)


def test_names_of_other_programs_bring_their_options_and_grids() -> None:
    made = scheduler("DPM++ 2M SDE Karras", EulerDiscreteScheduler.from_config(STOCK.config))
    assert made.config["scheduler"] == "latentry-dpmpp:dpmpp-2m-sde"
    assert made.config["sigmas"] == "latentry:karras"
    assert isinstance(made, SchedulerMixin)


def test_what_no_pipeline_can_carry_is_refused_when_it_is_made() -> None:
    with pytest.raises(IncompatibleError, match="churn"):
        scheduler("euler", STOCK, churn=5.0)
    with pytest.raises(OptionError):
        scheduler("unipc", STOCK, no_such_option=1)
    with pytest.raises(UnknownName):
        scheduler("no-such-scheduler", STOCK)
    with pytest.raises(OptionError, match="pipeline"):
        scheduler("unipc", object())


def test_levels_given_to_the_pipeline_beside_a_named_schedule_are_refused() -> None:
    made = scheduler("unipc", FLOW, sigmas="karras")
    made.set_timesteps(sigmas=[1.0, 0.75, 0.5, 0.25])  # even: what FLUX's pipeline always passes
    assert len(made.timesteps) == 4
    with pytest.raises(OptionError, match="levels of its own"):
        made.set_timesteps(sigmas=[1.0, 0.9, 0.5, 0.25])


def test_given_levels_are_shifted_as_the_stock_scheduler_does_it() -> None:
    for stock, mu in ((FLOW, None), (FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True), 0.8)):
        made, given = scheduler("euler", stock), [1.0, 0.9, 0.5, 0.25]
        made.set_timesteps(sigmas=given, mu=mu)
        stock.set_timesteps(sigmas=given, mu=mu)
        assert torch.allclose(made.timesteps, stock.timesteps, rtol=1e-5)


def test_a_sample_changed_between_two_evaluations_of_a_step_is_refused() -> None:
    made = scheduler("heun", STOCK)
    made.set_timesteps(4)
    x = torch.randn(1, 4, 8, 8)
    x = made.step(_net(x, made.timesteps[0]), made.timesteps[0], x, return_dict=False)[0]
    with pytest.raises(IncompatibleError, match="between two evaluations"):
        made.step(x, made.timesteps[1], x + 1.0)


@pytest.mark.slow
def test_inpainting_by_blending_refuses_two_evaluations(pipeline: Any) -> None:
    with pytest.raises(IncompatibleError, match="changes the sample"):
        scheduler("heun", pipeline("shapes", "inpainting"))
