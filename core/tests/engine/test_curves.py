"""Guidance scales and LoRA weights that change over a run: each step is that of a run with the number."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from support.guided import STEPS, Network, by, drawn, sampled
from support.stitched import stitched
from support.toy import write_toy

from latentry import (
    ControlRequest,
    Curve,
    Engine,
    GenerationRequest,
    IncompatibleError,
    LoraRequest,
    OptionError,
    PluginHost,
    Query,
    Recipe,
)
from latentry._request._values._reading import weighted_files
from latentry._resolve._useless._refusals import _about_curves
from latentry.guidance import COND, UNCOND, ClassifierFree

SCHEDULERS = ("first", "two-stage", "noisy", "halving", "greedy")
RISING = Curve.parse("1@0,1@0.3,4@0.3,7@0.9")


def request(model: Any, **wanted: Any) -> GenerationRequest:
    return GenerationRequest(**({"prompt": ("a", "b c"), "model": str(model), "seed": 5, "steps": 6} | wanted))


def write_lora(folder: Path, name: str = "ink", parts: tuple[str, ...] = ("unet",), **about: Any) -> str:
    file = folder / f"{name}.safetensors"
    file.write_text(json.dumps({"parts": parts} | about))
    return str(file)


@pytest.mark.parametrize("text", ["2.5@0", "2.5@0.2,2.5@1", "σ:2.5@1,2.5@9"])
def test_a_constant_curve_is_its_number(text: str) -> None:
    """So nothing else can differ: the requests are equal."""
    assert GenerationRequest(prompt="a", guidance=text) == GenerationRequest(prompt="a", guidance=2.5)
    assert LoraRequest(path="a", weight=text, denoiser=text) == LoraRequest(path="a", weight=2.5, denoiser=2.5)
    assert ControlRequest(model="a", picture="b", weight=text) == ControlRequest(model="a", picture="b", weight=2.5)


@pytest.mark.parametrize("text", ["1@0,7@0.5", "σ:0.5@0.1,1@14.5"])
def test_a_curve_is_typed_shown_and_kept(text: str) -> None:
    wanted = GenerationRequest(prompt="a", guidance=text, loras=weighted_files(f"ink.safetensors:{text}"))
    assert wanted.guidance == wanted.loras[0].weight == Curve.parse(text)
    assert f"{wanted.guidance:g}" == text
    assert GenerationRequest.model_validate_json(wanted.model_dump_json()) == wanted
    assert weighted_files("a:b@2", "c") == ({"path": "a:b@2"}, {"path": "c"})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1@0,-1@1", "it must have values from 0 to 1000"),
        ("1@0,x@1", "it must be VALUE@PLACE"),
        ("1@0.5,2@0.1", "its places must rise"),
        ("1@0,2@3", "its places must be shares"),
        ("x", "a valid number"),
    ],
)
def test_what_cannot_be_a_curve_of_guidance(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        GenerationRequest(prompt="a", guidance=text)


@pytest.mark.parametrize("kind", ["vp-v", "flow"])
@pytest.mark.parametrize("text", ["1@0,1@0.4,8@1", "σ:0.5@0.2,3@0.9,3@2"])
def test_each_evaluation_has_the_scale_of_its_place(kind: str, text: str) -> None:
    """Against the number, evaluation by evaluation, with the place found by hand."""
    curve = Curve.parse(text)
    guidance: Any = by(ClassifierFree(), scale=curve, kind=kind)
    places = []
    for index, point in enumerate(guidance.plan.points[:-1]):
        level = point.sigma if kind == "flow" else point.sigma / max(point.alpha, 1e-300)
        places.append(curve.at(index / STEPS, level))
        plain: Any = by(ClassifierFree(), scale=places[-1], kind=kind)
        query, network = Query(drawn(index, 2, 3), point, point.timestep, index), Network(guidance)
        assert torch.equal(
            guidance(network, query, guidance.empty).output, plain(Network(plain), query, plain.empty).output
        )
        assert network.passes == [(UNCOND, COND) if places[-1] != 1.0 else (COND,)]
    assert len(set(places)) > 1


def test_a_run_with_a_curve_goes_on_from_its_saved_state() -> None:
    guidance, x = by(ClassifierFree(), scale=RISING), drawn(3, 2, 5)
    run, memory, _ = sampled(guidance, x, stop=3)
    saved = run.state(), guidance.state(memory, run.index)
    assert torch.equal(sampled(guidance, x, state=saved)[0].sample, sampled(guidance, x)[0].sample)
    with pytest.raises(IncompatibleError, match="does not belong to this run"):
        by(ClassifierFree(), scale=4.0).memory(saved[1])


@pytest.mark.parametrize("scheduler", ["first", "two-stage", "noisy"])
def test_a_picture_is_drawn_with_it_and_drawn_again(
    host: PluginHost, engine: Engine, model: str, scheduler: str
) -> None:
    result = engine.generate(request(model, guidance=RISING, scheduler=scheduler))
    steps = [request(model, guidance=RISING.at(index / 6, 0.0), scheduler=scheduler) for index in range(6)]
    assert torch.allclose(result.latents, stitched(host, steps), atol=1e-6)
    recipe = Recipe.model_validate_json(result.recipes[1].model_dump_json())
    assert recipe.request.guidance == RISING
    assert torch.equal(engine.reproduce(recipe).latents, result.latents[1:])


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_what_changes_is_the_same_alone_and_in_company(
    engine: Engine, model: str, tmp_path: Path, scheduler: str
) -> None:
    loras = (LoraRequest(path=write_lora(tmp_path), weight="0@0,0.5@1"),)
    wanted = request(model, guidance=RISING, loras=loras, scheduler=scheduler)
    together = engine.generate(wanted).latents
    alone = engine.generate(wanted.model_copy(update={"batch": 1})).latents
    assert torch.allclose(together, alone, atol=1e-6)
    jobs = [engine.submit(wanted.model_copy(update={"steps": steps})) for steps in (6, 9, 6)]
    found = [job.result(timeout=120).latents for job in jobs]
    assert torch.allclose(found[0], together, atol=1e-6)
    assert torch.allclose(found[2], together, atol=1e-6)


@pytest.mark.parametrize("field", ["guidance", "loras"])
@pytest.mark.parametrize(("scheduler", "steps"), [("halving", None), ("halving", 1), ("first", 1)])
def test_a_curve_over_the_steps_of_one_step_is_refused(
    engine: Engine, model: str, tmp_path: Path, field: str, scheduler: str, steps: int | None
) -> None:
    """An adaptive scheduler has one step unless it is told otherwise; noise levels change within it."""

    def wanted(text: str, **other: Any) -> GenerationRequest:
        value = text if field == "guidance" else (LoraRequest(path=write_lora(tmp_path), weight=text),)
        return request(model, **{"scheduler": scheduler, "steps": steps, field: value} | other)

    with pytest.raises(OptionError, match=f"The option 1@0,5@0.3 in {field} has no effect here") as refused:
        engine.prepare(wanted("1@0,5@0.3"))
    assert refused.value.field == field
    assert "1 step" in (refused.value.why or "")
    assert ("σ:" in (refused.value.remedy or "")) == (scheduler == "halving")
    for accepted in (wanted("σ:1@1,5@9"), wanted("1"), wanted("1@0,5@0.3", steps=2)):
        engine.prepare(accepted)


def test_so_is_a_controls(engine: Engine, model: str) -> None:
    wanted = request(model, controls=(ControlRequest(model="a", picture="b", weight="1@0,0@1"),))
    for steps in (1, 2):
        plan = engine.prepare(request(model, scheduler="halving", steps=steps)).plan
        assert [(useless, each.field) for useless, each in _about_curves(wanted, plan)] == [(steps == 1, "controls")]


def test_a_recipe_with_such_a_curve_is_drawn_again_and_told(engine: Engine, model: str) -> None:
    recipe = engine.generate(request(model, prompt="a", guidance=2.0, scheduler="halving", steps=None)).recipes[0]
    curve = {"guidance": Curve.parse("2@0,5@0.3")}
    again = engine.reproduce(recipe.model_copy(update={"request": recipe.request.model_copy(update=curve)}))
    assert any("2@0,5@0.3 in guidance has no effect" in note for note in again.notes)


def test_a_methods_own_limit_holds_for_all_of_the_curve(engine: Engine, model: str) -> None:
    with pytest.raises(OptionError, match="guidance scale of 1@0,20@1") as refused:
        engine.prepare(request(model, guidance="1@0,20@1", guidance_method="carrying"))
    assert refused.value.field == "guidance"


def test_a_network_that_knows_no_guidance_refuses_a_curve(engine: Engine, tmp_path: Path) -> None:
    for variant, message in (("fast", "cannot be used with"), ("told", "cannot change over the run")):
        folder = write_toy(tmp_path / variant, variants=[variant])
        with pytest.raises(IncompatibleError, match=message) as refused:
            engine.generate(request(folder, guidance="1@0,2@1"))
        assert refused.value.field == "guidance"


@pytest.mark.parametrize("scheduler", ["first", "two-stage"])
def test_a_loras_weight_changes_with_the_steps(
    host: PluginHost, engine: Engine, model: str, tmp_path: Path, scheduler: str
) -> None:
    """Of two, the one that has a curve; the text encoder has the weight of the start."""
    ink, wax = write_lora(tmp_path, "ink", ("unet", "text_encoder")), write_lora(tmp_path, "wax")
    curve = Curve.parse("0.25@0,1@0.5,0@1")

    def loras(weight: float | Curve) -> tuple[LoraRequest, ...]:
        return LoraRequest(path=wax, weight=-0.5), LoraRequest(path=ink, weight=weight, text_encoders=0.25)

    result = engine.generate(request(model, loras=loras(curve), scheduler=scheduler))
    steps = [request(model, loras=loras(curve.at(index / 6, 0.0)), scheduler=scheduler) for index in range(6)]
    assert torch.allclose(result.latents, stitched(host, steps), atol=1e-6)
    without = request(model, loras=(LoraRequest(path=wax, weight=-0.5), LoraRequest(path=ink, weight=curve)))
    if scheduler == "first":
        assert torch.equal(engine.generate(without).latents, result.latents)
    recipe = Recipe.model_validate_json(result.recipes[0].model_dump_json())
    assert recipe.request.loras[1].weight == curve
    assert torch.equal(engine.reproduce(recipe).latents, result.latents[:1])


def test_requests_with_the_same_curve_share_a_model(engine: Engine, model: str, tmp_path: Path) -> None:
    """And each has its own weights, wherever the other is."""
    wanted = [
        request(model, loras=(LoraRequest(path=write_lora(tmp_path), weight="0@0,1@1"),), steps=steps)
        for steps in (4, 7)
    ]
    alone = [engine.generate(each).latents for each in wanted]
    loaded: Any = engine.load(engine.prepare(wanted[0]))
    loaded.weighed.clear()
    with ThreadPoolExecutor(2) as pool:
        jobs = list(pool.map(engine.submit, wanted))
    for job, expected in zip(jobs, alone, strict=True):
        assert torch.allclose(job.result(timeout=120).latents, expected, atol=1e-6)
    assert {round(weight, 6) for (weight,) in loaded.weighed} >= {0.25, round(1 / 7, 6)}


@pytest.mark.parametrize(
    ("about", "wanted", "why"),
    [
        ({}, {"lora_mode": "merged"}, "merged into the weights once"),
        ({"parts": ("text_encoder",)}, {}, "text encoders alone"),
        ({"varies": False}, {}, "with one weight"),
    ],
)
def test_a_lora_whose_weight_cannot_change_is_refused(
    engine: Engine, model: str, tmp_path: Path, about: dict[str, Any], wanted: dict[str, Any], why: str
) -> None:
    lora = LoraRequest(path=write_lora(tmp_path, **about), weight="0@0,1@1")
    with pytest.raises(OptionError, match=r"ink.safetensors cannot change over the run") as refused:
        engine.prepare(request(model, loras=(lora,), **wanted))
    assert why in refused.value.why
    assert refused.value.field == "loras"
    engine.prepare(request(model, loras=(lora.model_copy(update={"weight": 0.5}),), **wanted))
