"""From a request to pictures, with a family whose network is a formula."""

from __future__ import annotations

import json
import math
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from support.toy import write_toy
from torch import Tensor

from latentry import (
    Engine,
    GenerationRequest,
    GenerationResult,
    KeyedNoise,
    Leading,
    OptionError,
    PluginHost,
    ProgressEvent,
    ResourceError,
    VariancePreserving,
    read_recipe,
)
from latentry._generate._batch._images import to_pictures, to_pixels
from latentry.models import PromptSettings


def request(model: str, **wanted: Any) -> GenerationRequest:
    return GenerationRequest(**({"prompt": "a", "model": model, "seed": 5} | wanted))


def recorded(engine: Engine, wanted: GenerationRequest) -> tuple[GenerationResult, list[tuple[int, int, Tensor]]]:
    """The result, and every draw as (interval, draw, noise)."""
    drawn: list[tuple[int, int, Tensor]] = []
    begun: list[Tensor] = []

    def listen(event: ProgressEvent) -> None:
        if event.stage == "sample" and event.run is not None and event.run.index == 0:
            begun.append(event.run.sample)

    result = engine.generate(wanted, progress=listen)
    drawn += [(-1, 0, sample) for sample in torch.cat(begun)]
    return result, drawn


def test_a_prompt_becomes_its_colour(engine: Engine, model: str) -> None:
    """The toy's data lie around the prompt's colour: the mean of the latents is that, but for the noise of the data."""
    cond = engine.load(engine.prepare(request(model))).encode_prompt(["a"], PromptSettings(32, 32))["colour"]
    latents = engine.generate(request(model, guidance=1, steps=50, count=4, final="zero")).latents
    assert float(latents.mean()) == pytest.approx(float(cond), abs=0.1)
    assert float(latents.std()) == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize("scheduler", ["first", "noisy", "halving"])
def test_a_picture_does_not_depend_on_its_batch(engine: Engine, model: str, scheduler: str) -> None:
    many = engine.generate(request(model, scheduler=scheduler, count=5)).latents
    for batch in (1,) if scheduler == "halving" else (1, 2, 3, 5):
        again = engine.generate(request(model, scheduler=scheduler, count=5, batch=batch)).latents
        assert torch.allclose(many, again, atol=1e-5)
    alone = engine.generate(request(model, scheduler=scheduler)).latents
    assert torch.allclose(alone[0], many[0], atol=1e-5)


def test_the_initial_noise_does_not_depend_on_the_batch(engine: Engine, model: str) -> None:
    _, alone = recorded(engine, request(model))
    for wanted in (
        request(model, count=4, batch=4),
        request(model, count=4, batch=3),
        request(model, count=2, batch=1),
    ):
        _, many = recorded(engine, wanted)
        assert len(many) == wanted.count
        assert torch.equal(many[0][2], alone[0][2])
    expected = KeyedNoise(5, (0,)).initial(torch.empty(1, 4, 4, 4))[0]
    assert torch.equal(alone[0][2], expected)


def test_every_picture_has_noise_of_its_own(engine: Engine, model: str) -> None:
    latents = engine.generate(request(model, count=3)).latents
    assert not torch.allclose(latents[0], latents[1])
    assert not torch.allclose(latents[1], latents[2])


def test_the_same_request_makes_the_same_bits(engine: Engine, host: PluginHost, model: str) -> None:
    wanted = request(model, scheduler="noisy", count=3, batch=2)
    first, second, other = engine.generate(wanted), engine.generate(wanted), Engine(host).generate(wanted)
    assert torch.equal(first.latents, second.latents)
    assert torch.equal(first.latents, other.latents)
    assert [i.tobytes() for i in first.images] == [i.tobytes() for i in other.images]


def test_several_prompts_are_drawn_in_order(engine: Engine, model: str) -> None:
    result = engine.generate(request(model, prompt=("a", "b"), count=2, batch=3, guidance=1))
    means = [float(latent.mean()) for latent in result.latents]
    loaded = engine.load(engine.prepare(request(model)))
    colours = loaded.encode_prompt(["a", "a", "b", "b"], PromptSettings(32, 32))["colour"].flatten()
    assert means == pytest.approx(colours.tolist(), abs=0.35)
    assert [recipe.index for recipe in result.recipes] == [0, 1, 2, 3]


def test_a_caller_may_bring_latents(engine: Engine, model: str) -> None:
    wanted = request(model, count=3, batch=2)
    own = torch.randn(3, 4, 4, 4, generator=torch.Generator().manual_seed(1))
    _, begun = recorded(engine, wanted)
    seen: list[Tensor] = []

    def listen(event: ProgressEvent) -> None:
        if event.run is not None and event.run.index == 0:
            seen.append(event.run.sample)

    result = engine.generate(wanted, latents=own, progress=listen)
    assert torch.equal(torch.cat(seen), own)
    assert not torch.equal(result.latents, engine.generate(wanted).latents)
    keyed = torch.stack([noise for _, _, noise in begun])
    assert torch.equal(engine.generate(wanted, latents=keyed).latents, engine.generate(wanted).latents)


def test_latents_are_scaled_as_the_engines_own(engine: Engine, model: str) -> None:
    own = torch.ones(1, 4, 4, 4)
    for convention in ("unit", "sigma"):
        wanted = request(model, initial_noise=convention, sigmas=(1.0, 0.5))
        seen: list[Tensor] = []
        engine.generate(wanted, latents=own, progress=lambda e: seen.append(e.run.sample) if e.run else None)  # noqa: B023
        sigma = engine.prepare(wanted).plan.points[0].sigma
        assert float(seen[0].mean()) == pytest.approx(1.0 if convention == "unit" else sigma)


def test_latents_of_another_shape_are_refused_before_loading(host: PluginHost, tmp_path: Path) -> None:
    model = str(write_toy(tmp_path / "fails", fails="loading"))
    with pytest.raises(OptionError, match=r"shape \(1, 4, 4, 4\)") as caught:
        Engine(host).generate(request(model, count=2), latents=torch.zeros(1, 4, 4, 4))
    assert "(2, 4, 4, 4)" in caught.value.why


def test_a_caller_may_bring_noise(engine: Engine, model: str) -> None:
    asked: list[tuple[int, int, int]] = []

    def source(like: Tensor, interval: int, draw: int, clock: Any) -> Tensor:
        asked.append((like.shape[0], interval, draw))
        return torch.zeros_like(like)

    engine.generate(request(model, scheduler="noisy", steps=2, count=3, batch=2), noise=source)
    assert asked == [(size, interval, draw) for size in (2, 1) for interval in (0, 1) for draw in (0, 1)]


def test_the_model_gets_the_plans_timesteps(engine: Engine, model: str) -> None:
    wanted = request(model, sigmas="leading", steps=4)
    loaded: Any = engine.load(engine.prepare(wanted))
    loaded.calls.clear()
    engine.generate(wanted)
    levels = Leading().points(4, VariancePreserving.from_betas())
    assert loaded.calls == [(2, point.timestep) for point in levels]


@pytest.mark.parametrize(
    ("guidance", "scheduler", "rows"), [(1, "first", 3), (2, "first", 6), (1, "greedy", 6), (0, "first", 6)]
)
def test_the_unconditional_half_is_computed_where_it_counts(
    engine: Engine, model: str, guidance: float, scheduler: str, rows: int
) -> None:
    wanted = request(model, guidance=guidance, scheduler=scheduler, count=3)
    loaded: Any = engine.load(engine.prepare(wanted))
    loaded.calls.clear()
    engine.generate(wanted)
    assert {size for size, _ in loaded.calls} == {rows}


def test_the_negative_prompt_takes_the_unconditional_place(engine: Engine, model: str) -> None:
    """At guidance 0 only it is seen."""
    for negative in ("dark", "bright"):
        found = engine.generate(request(model, guidance=0, negative=negative)).latents
        meant = engine.generate(request(model, guidance=1, prompt=negative)).latents
        assert torch.allclose(found, meant, atol=1e-5)


def test_progress_events_are_in_order(engine: Engine, model: str) -> None:
    events: list[ProgressEvent] = []
    engine.generate(request(model, count=3, batch=2, steps=4), progress=events.append)
    stages = [event.stage for event in events]
    one = ["encode", *["sample"] * 5, "decode"]
    assert stages == ["load", *one, *one, "done"]
    done = [event.done for event in events]
    assert done == sorted(done)
    assert {event.total for event in events[1:]} == {8}
    assert (events[-1].done, events[-1].total) == (8, 8)
    assert [event.done for event in events if event.stage == "sample"] == [0, 1, 2, 3, 4, 4, 5, 6, 7, 8]
    assert all(event.text for event in events)
    assert all((event.run is not None) == (event.stage == "sample") for event in events)


def test_a_two_stage_step_is_reported_once(engine: Engine, model: str) -> None:
    events: list[ProgressEvent] = []
    result = engine.generate(request(model, scheduler="two-stage", steps=3, final="table"), progress=events.append)
    assert [event.done for event in events if event.stage == "sample"] == [0, 1, 2, 3]
    assert result.evaluations == 6


def test_the_evaluations_of_a_scheduler_that_chooses_its_steps_are_counted(engine: Engine, model: str) -> None:
    wanted = request(model, scheduler="halving", scheduler_options={"least": 0.25}, steps=3, final="zero")
    points = engine.prepare(wanted).plan.points
    gaps = [end.lam - start.lam for start, end in pairwise(points)]
    asked = sum(1 if math.isinf(gap) else 1 + max(0, math.ceil(math.log2(gap / 0.25))) for gap in gaps)
    assert engine.generate(wanted).evaluations == asked > 3


def test_a_scheduler_that_chooses_its_steps_draws_one_picture_at_a_time(engine: Engine, model: str) -> None:
    """In a batch it would choose the steps of one picture by the errors of the others."""
    sizes: list[int] = []

    def listen(event: ProgressEvent) -> None:
        if event.run is not None:
            sizes.append(len(event.run.sample))

    wanted = request(model, scheduler="halving", count=3, steps=2, seed=4)
    together = engine.generate(wanted, progress=listen)
    assert set(sizes) == {1}
    alone = engine.generate(wanted.model_copy(update={"batch": 1}))
    assert torch.equal(together.latents, alone.latents)
    again = engine.reproduce(together.recipes[2])
    assert torch.equal(again.latents, together.latents[2:])


def test_raising_in_progress_cancels(engine: Engine, model: str) -> None:
    class Enough(Exception):
        pass

    seen: list[int] = []

    def cancel(event: ProgressEvent) -> None:
        if event.stage == "sample" and event.done == 2:
            raise Enough
        seen.append(event.done)

    with pytest.raises(Enough):
        engine.generate(request(model), progress=cancel)
    assert max(seen) == 1
    assert len(engine.generate(request(model)).images) == 1  # and nothing is the worse for it


def test_previews_are_at_hand_while_sampling(engine: Engine, model: str) -> None:
    previews: list[Tensor] = []

    def preview(event: ProgressEvent) -> None:
        if event.run is not None and event.run.query is not None:
            previews.append(event.run.denoise(torch.zeros_like(event.run.query.x)).x0)

    plain = engine.generate(request(model))
    assert torch.equal(engine.generate(request(model), progress=preview).latents, plain.latents)
    assert len(previews) == 6


@pytest.mark.parametrize(("fails", "doing"), [("loading", "loading the model"), ("sampling", "sampling")])
def test_out_of_memory_is_one_clear_error(host: PluginHost, tmp_path: Path, fails: str, doing: str) -> None:
    model = str(write_toy(tmp_path / "fails", fails=fails))
    with pytest.raises(ResourceError, match=f"Out of memory while {doing}") as caught:
        Engine(host).generate(request(model))
    assert caught.value.why == "CUDA out of memory. Tried to allocate 20 GiB."
    assert "float16" in caught.value.remedy
    assert isinstance(caught.value.__cause__, torch.OutOfMemoryError)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), True),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
            True,
        ),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."), True),
        (RuntimeError("shapes do not match"), False),
        (ValueError("not enough memory"), False),
    ],
    ids=str,
)
def test_only_out_of_memory_is_reported_as_such(engine: Engine, model: str, error: Exception, told: bool) -> None:
    def fail(event: ProgressEvent) -> None:
        if event.stage == "sample":
            raise error

    with pytest.raises(ResourceError if told else type(error)):
        engine.generate(request(model), progress=fail)


def test_the_last_model_is_kept_and_only_that(engine: Engine, model: str, tmp_path: Path) -> None:
    first = engine.load(engine.prepare(request(model)))
    assert engine.load(engine.prepare(request(model, steps=3, width=64))) is first
    other = engine.load(engine.prepare(request(str(write_toy(tmp_path / "other")))))
    assert other is not first
    assert engine.load(engine.prepare(request(model))) is not first
    assert engine.load(engine.prepare(request(model, dtype="float16", attention="native"))).dtype == torch.float16


def test_the_chosen_attention_is_set_on_the_model(engine: Engine, model: str) -> None:
    loaded: Any = engine.load(engine.prepare(request(model)))
    engine.generate(request(model))
    engine.generate(request(model, attention="native"))
    assert [backend and backend.names for backend in loaded.backends] == [("toy:able", "native"), None]


def test_a_flow_model_runs_through_the_same_engine(engine: Engine, tmp_path: Path) -> None:
    model = str(write_toy(tmp_path / "flow", kind="flow"))
    wanted = request(model, scheduler="flow-only", sigmas=(1.0, 0.75, 0.5, 0.25), guidance=1)
    loaded: Any = engine.load(engine.prepare(wanted))
    latents = engine.generate(wanted).latents
    assert [t for _, t in loaded.calls] == [1000.0, 750.0, 500.0, 250.0]
    assert bool(latents.isfinite().all())


@pytest.mark.parametrize("given", ["one.png", "one", "deep/er/one.png", "one.PNG"])
def test_one_picture_has_the_name_it_was_given(engine: Engine, model: str, tmp_path: Path, given: str) -> None:
    (path,) = engine.generate(request(model)).save(tmp_path / given)
    assert path == tmp_path / (given if given.lower().endswith(".png") else given + ".png")
    assert path.is_file()


def test_several_pictures_are_numbered(engine: Engine, model: str, tmp_path: Path) -> None:
    paths = engine.generate(request(model, count=3, batch=2)).save(tmp_path / "many.png")
    assert [path.name for path in paths] == ["many-000.png", "many-001.png", "many-002.png"]
    assert [read_recipe(path).index for path in paths] == [0, 1, 2]


def test_a_picture_keeps_its_pixels_and_its_recipe_in_the_file(engine: Engine, model: str, tmp_path: Path) -> None:
    result = engine.generate(request(model, scheduler_options={}, prompt="ü 紅 \"'\n"))
    (path,) = result.save(tmp_path / "one.png")
    with Image.open(path) as picture:
        assert picture.tobytes() == result.images[0].tobytes()
        assert picture.format == "PNG"
    assert read_recipe(path) == result.recipes[0]


def test_a_failed_write_leaves_nothing_behind(
    engine: Engine, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Image.Image, file: Any, **options: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    result = engine.generate(request(model))
    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="No space left"):
        result.save(tmp_path / "one.png")
    assert list(tmp_path.glob("*.png")) == list(tmp_path.glob(".*.part")) == []


def test_a_recipe_holds_everything_that_was_decided(engine: Engine, model: str) -> None:
    recipe = engine.generate(request(model, seed=None, count=2)).recipes[1]
    undecided = {name for name, value in recipe.request if value is None}
    to_begin_from, more_files = {"init_image", "mask", "strength"}, {"vae", "tokenizer", "config", "revision"}
    one_pass_in_one_piece = {"upscale", "upscale_steps", "denoise_tile", "denoise_overlap"}
    plain = {"refiner", "guidance_method", "guidance_model", "plan", "step_cache", "control_preprocess"}
    assert undecided == to_begin_from | more_files | one_pass_in_one_piece | plain
    assert recipe.index == 1
    assert set(recipe.plugins) == {"scheduler", "sigmas", "family", "attention"}
    assert recipe.plugins["scheduler"].revision == 1
    assert recipe.plugins["sigmas"].distribution == "latentry"
    assert recipe.environment["torch"] == torch.__version__
    assert re.fullmatch("[0-9a-f]{16}", recipe.model)
    json.loads(recipe.model_dump_json())


def test_pixels_are_rounded_to_the_nearest_level_and_cut_off() -> None:
    values = torch.tensor([-2.0, -1.0, -0.996, 0.0, 0.5, 1.0, 3.0])
    (picture,) = to_pictures(values.expand(1, 3, 1, -1))
    assert [picture.getpixel((x, 0))[0] for x in range(7)] == [0, 0, 1, 128, 191, 255, 255]  # type: ignore[index]
    assert picture.mode == "RGB"


def test_pixels_come_back_from_a_picture() -> None:
    pixels = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert torch.allclose(to_pixels(to_pictures(pixels)), pixels, atol=1 / 255)


class Own(Exception):
    """Of the host."""


@pytest.mark.parametrize("draws", [0, 3])
def test_what_the_hosts_noise_raises_is_not_the_schedulers_fault(engine: Engine, model: str, draws: int) -> None:
    drawn: list[int] = []

    def failing(like: torch.Tensor, interval: int, draw: int, clock: Any) -> torch.Tensor:
        if len(drawn) == draws:
            raise Own("out of entropy")
        drawn.append(draw)
        return torch.zeros_like(like)

    with pytest.raises(Own, match="out of entropy"):
        engine.generate(request(model, scheduler="noisy"), noise=failing)
    plan = engine.prepare(request(model, scheduler="noisy")).plan
    with pytest.raises(Own, match="out of entropy"):
        run = plan.start(torch.zeros(1, 4, 4, 4), noise=failing)
        while run.query is not None:
            run.advance(torch.zeros(1, 4, 4, 4))


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["load", "encode", "sample", "decode", "done"])
@pytest.mark.parametrize("kind", [Own, ValueError, RuntimeError, StopIteration])
def test_what_the_hosts_progress_raises_reaches_the_host(
    engine: Engine, model: str, stage: str, kind: type[Exception]
) -> None:
    stages = set()

    def listen(event: ProgressEvent) -> None:
        stages.add(event.stage)
        if event.stage == stage:
            raise kind("enough")

    with pytest.raises(kind, match="enough"):
        engine.generate(request(model), progress=listen)
    assert stage in stages
    engine.generate(request(model))  # and the engine goes on
