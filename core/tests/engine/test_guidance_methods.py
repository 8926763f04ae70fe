"""Guidance as a plugin: what a method is told, what it may return, and what becomes of it in a request."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from support.guided import Network, by, drawn, sampled
from support.oracles import PROCESSES, emitted
from support.toy import write_toy
from support.toy_guidance import Beside, Carried, Carrying
from support.toys import First, Heun

from latentry import (
    Engine,
    GenerationRequest,
    IncompatibleError,
    LatentryError,
    NoMemory,
    OptionError,
    PluginError,
    PluginHost,
    Query,
    Recipe,
    RunState,
    UnknownName,
)
from latentry._guidance._evaluate import Branch
from latentry.guidance import COND, UNCOND, ClassifierFree, GuidanceMethod, Guide, GuidedQuery


@pytest.mark.parametrize("kind", PROCESSES)
@pytest.mark.parametrize("step", [0, 3])
def test_an_output_is_found_from_what_it_means(kind: str, step: int) -> None:
    """Against the prediction types' own definitions, at the noisy end and between."""
    guidance = by(Carrying(), kind=kind)
    point, x0, eps = guidance.plan.points[step], drawn(1, 2, 3), drawn(2, 2, 3)
    query = GuidedQuery(Query(point.mix(x0, eps), point, point.timestep, step), guidance.plan, 3.0)
    output = emitted(guidance.plan.prediction, point, x0, eps)
    assert torch.allclose(query.from_v(eps - x0), output, atol=1e-10)
    assert torch.allclose(query.from_x0(x0), output, atol=1e-10)
    if point.alpha > 0.0:
        assert torch.allclose(query.from_eps(eps), output, atol=1e-10)
    assert torch.allclose(query.answer(output).x0, x0, atol=1e-7)


def test_a_method_is_told_where_it_is() -> None:
    guidance = by(Carrying(), scheduler=Heun())
    plan: Any = guidance.plan
    run, seen = plan.start(drawn(3, 1, 4)), []
    while (query := run.query) is not None:
        told = GuidedQuery(query, guidance.plan, 3.0)
        seen.append((told.index, told.stage, told.count))
        assert (told.start, told.end) == guidance.plan.points[told.index : told.index + 2]
        assert told.x is query.x
        run.advance(torch.zeros_like(query.x))
    assert seen == [(i, stage, 6) for i in range(5) for stage in (0, 1)] + [(5, 0, 6)]


@pytest.mark.parametrize("scheduler", [First(), Heun()])
def test_the_prediction_type_makes_no_difference_to_a_method_in_x0(scheduler: Any) -> None:
    x = drawn(4, 2, 5)
    kinds = ("vp-epsilon", "vp-v", "vp-x0")
    ends = [sampled(by(Carrying(), kind=kind, scheduler=scheduler), x)[0].sample for kind in kinds]
    plain = sampled(by(ClassifierFree(), kind="vp-v", scheduler=scheduler), x)[0].sample
    for end in ends:
        assert torch.allclose(end, ends[0], atol=1e-8)
        assert not torch.allclose(end, plain, atol=1e-3)


@pytest.mark.parametrize("scheduler", [First(), Heun()])
@pytest.mark.parametrize("done", [1, 3, 4])
def test_a_guided_run_goes_on_from_its_saved_state(tmp_path: Path, scheduler: Any, done: int) -> None:
    """Also in the middle of a step of two evaluations; without the memory the result is another."""
    guidance, x = by(Carrying(), scheduler=scheduler), drawn(5, 2, 5)
    run, memory, _ = sampled(guidance, x, stop=done)
    assert memory.evaluations == done
    run.state().save(tmp_path / "run")
    guidance.state(memory, run.index).save(tmp_path / "guidance")
    saved = RunState.load(tmp_path / "run"), RunState.load(tmp_path / "guidance")
    whole = sampled(guidance, x)[0].sample
    assert torch.equal(sampled(guidance, x, state=saved)[0].sample, whole)
    forgotten = guidance.state(guidance.empty, run.index)
    assert not torch.equal(sampled(guidance, x, state=(saved[0], forgotten))[0].sample, whole)


def test_a_saved_memory_belongs_to_its_guidance() -> None:
    guidance = by(Carrying())
    state = guidance.state(Carried(drawn(6, 1, 2), 3), 2)
    for other in (by(Carrying(part=0.2)), by(Carrying(), scale=2.0), by(ClassifierFree()), by(Carrying(), kind="flow")):
        with pytest.raises(IncompatibleError, match="does not belong to this run"):
            other.memory(state)


def test_branches_that_were_evaluated_are_not_evaluated_again() -> None:
    guidance = by(Beside(), neutral=None, always=True)
    network = Network(guidance)
    point = guidance.plan.points[1]
    found = guidance(network, Query(drawn(7, 1, 3), point, 1.0, 1), guidance.empty)
    assert network.passes == [(COND, UNCOND)]  # the scheduler needs uncond anyway, so both go together
    assert torch.equal(found.output, torch.lerp(found.uncond, found.cond, 2.0))  # type: ignore[arg-type]
    without = by(Beside(), neutral=None)
    network = Network(without)
    without(network, Query(drawn(7, 1, 3), point, 1.0, 1), without.empty)
    assert network.passes == [(COND,), (UNCOND,)]


class Silent(GuidanceMethod):
    """Asks for nothing."""

    def guide(self, query: GuidedQuery, memory: NoMemory) -> Guide:
        return torch.zeros_like(query.x), memory
        yield  # a generator all the same


def test_an_output_of_zeros_is_not_rescaled() -> None:
    guidance = by(Silent(), rescale=0.7)
    found = guidance(Network(guidance), Query(drawn(8, 2, 3), guidance.plan.points[0], 1.0), guidance.empty)
    assert torch.equal(found.output, torch.zeros(2, 3, dtype=torch.float64))
    assert found.uncond is None


class Wrong(GuidanceMethod):
    """Does one thing wrong."""

    how: str

    def guide(self, query: GuidedQuery, memory: NoMemory) -> Any:
        return None if self.how == "no generator" else self._guide(query, memory)

    def _guide(self, query: GuidedQuery, memory: NoMemory) -> Any:
        if self.how == "raises":
            raise ValueError("no luck today")
        branches: Any = {"no tuple": COND, "no branch": ("cond",), "undeclared": (Branch(skip_layers=(1,)),)}
        uncond, *_ = yield branches.get(self.how, (UNCOND, COND))
        results: dict[str, Any] = {
            "no memory": uncond.output,
            "another memory": (uncond.output, 3),
            "an answer": (uncond, memory),
            "another shape": (uncond.output[:1], memory),
            "another dtype": (uncond.output.half(), memory),
        }
        return results[self.how]


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("no generator", "it must be a generator"),
        ("no tuple", "yielded an object of type Branch, not branches"),
        ("no branch", "yielded an object of type tuple, not branches"),
        ("undeclared", "does not declare: skip-layers"),
        ("raises", "no luck today"),
        ("no memory", "returned an object of type Tensor"),
        ("another memory", "returned an object of type tuple"),
        ("an answer", "returned an object of type Denoised as the output"),
        ("another shape", r"of shape \(1, 3\)"),
        ("another dtype", "float16"),
    ],
)
def test_a_mistake_of_a_method_is_an_error_that_names_it(how: str, why: str) -> None:
    guidance = by(Wrong(how=how))
    with pytest.raises(PluginError, match="Wrong") as caught:
        guidance(Network(guidance), Query(drawn(9, 2, 3), guidance.plan.points[0], 1.0), guidance.empty)
    assert re.search(why, caught.value.why or "")
    assert caught.value.remedy


def request(model: Any, **wanted: Any) -> GenerationRequest:
    return GenerationRequest(**({"prompt": "a", "model": str(model), "seed": 1, "steps": 4} | wanted))


def test_a_picture_is_made_by_the_method_and_made_again(engine: Engine, model: str) -> None:
    plain = engine.generate(request(model, guidance=2.5))
    result = engine.generate(request(model, guidance_method="carrying", guidance_options={"part": 0.25}))
    assert not torch.equal(result.latents, plain.latents)
    recipe = Recipe.model_validate_json(result.recipes[0].model_dump_json())
    assert recipe.request.guidance == 2.5  # the method's own
    assert recipe.request.guidance_method == "toy:carrying"
    assert recipe.request.guidance_options == {"part": 0.25}
    assert recipe.plugins["guidance"].name == "toy:carrying"
    assert recipe.plugins["guidance"].revision == 1
    assert torch.equal(engine.reproduce(recipe).latents, result.latents)
    assert "guidance" not in plain.recipes[0].plugins
    assert plain.recipes[0].request.guidance_method is None


def test_naming_the_default_changes_nothing(engine: Engine, model: str) -> None:
    plain = engine.generate(request(model))
    named = engine.generate(request(model, guidance_method="cfg"))
    assert torch.equal(plain.latents, named.latents)
    assert named.recipes[0].plugins["guidance"].distribution == "latentry"


def test_a_recipe_whose_method_is_missing_says_so(engine: Engine, model: str, host: PluginHost) -> None:
    recipe = engine.generate(request(model, guidance_method="carrying")).recipes[0]
    used = recipe.plugins["guidance"].model_copy(update={"name": "latentry-gone:gone"})
    other = recipe.model_copy(update={"plugins": {**recipe.plugins, "guidance": used}})
    assert recipe.obstacles(host) == ()
    assert any("guidance latentry-gone:gone is missing" in line for line in other.obstacles(host))


@pytest.mark.parametrize("scheduler", ["first", "two-stage", "noisy", "halving", "greedy"])
def test_a_picture_does_not_depend_on_its_company(engine: Engine, model: str, scheduler: str) -> None:
    prompts = ("a", "b c", "d e f")
    wanted = {"guidance_method": "carrying", "scheduler": scheduler, "prompt": prompts}
    together = engine.generate(request(model, **wanted)).latents
    alone = engine.generate(request(model, batch=1, **wanted)).latents
    assert torch.allclose(together, alone, atol=1e-6)
    again = engine.generate(request(model, **wanted)).latents
    assert torch.equal(together, again)


def test_outside_the_interval_a_method_is_not_asked(engine: Engine, model: str) -> None:
    setup = engine.prepare(request(model, steps=6, guidance_method="carrying", guidance_interval=(0.5, 1.0)))
    loaded: Any = engine.load(setup)
    engine.generate(setup.request)
    assert [rows for rows, _ in loaded.calls] == [1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize("variant", ["told", "fast"])
def test_a_method_for_distilled_networks_has_an_unguided_output_to_work_with(
    host: PluginHost, tmp_path: Path, variant: str
) -> None:
    model = write_toy(tmp_path / "model", variants=[variant])
    engine = Engine(host)
    wanted = request(model, guidance_method="beside", negative="grey", guidance_rescale=0.2, guidance_interval=(0.5, 1))
    loaded: Any = engine.load(engine.prepare(wanted))
    engine.generate(wanted)
    assert [rows for rows, _ in loaded.calls] == [1, 1, 1, 1, 1, 1]  # one at a time, as the method asks
    assert {(prompts, settings.guidance) for prompts, settings in loaded.encoded} == {
        (("a",), 3.5 if variant == "told" else None),
        (("grey",), 3.5 if variant == "told" else None),
    }


REFUSED: dict[str, tuple[str, dict[str, Any], type[LatentryError], str]] = {
    "what needs the unguided output, where the scale is an input": (
        "told",
        {"guidance_method": "carrying"},
        IncompatibleError,
        "guidance was distilled into the network of told",
    ),
    "what needs it, where there is no guidance": (
        "fast",
        {"guidance_method": "carrying"},
        IncompatibleError,
        "guidance was distilled into the network of fast",
    ),
    "what is for distilled networks": (
        "small",
        {"guidance_method": "beside"},
        IncompatibleError,
        "It is for networks whose guidance is distilled, none; here it is classifier-free.",
    ),
    "a scale without effect": ("small", {"guidance_method": "carrying", "guidance": 1.0}, OptionError, "scale is 1"),
    "a scale beyond the largest": ("small", {"guidance_method": "carrying", "guidance": 9.5}, OptionError, "up to 9"),
    "an unknown method": ("small", {"guidance_method": "carying"}, UnknownName, "carrying"),
    "an unknown option": (
        "small",
        {"guidance_method": "carrying", "guidance_options": {"port": 1}},
        OptionError,
        "no option 'port'",
    ),
    "an option out of bounds": (
        "small",
        {"guidance_method": "carrying", "guidance_options": {"part": 2}},
        OptionError,
        "at most 1",
    ),
    "options without a method": ("small", {"guidance_options": {"part": 1}}, OptionError, "needs guidance_method"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_fit_is_refused_before_loading(host: PluginHost, tmp_path: Path, what: str) -> None:
    variant, wanted, kind, message = REFUSED[what]
    model = write_toy(tmp_path / "model", variants=[variant], fails="loading")
    with pytest.raises(kind) as caught:
        Engine(host).prepare(request(model, **wanted))
    assert message in str(caught.value)
    assert caught.value.remedy
