"""A refiner takes over for the last steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.toy import write_toy
from torch import Tensor

from latentry import Engine, GenerationRequest, IncompatibleError, KeyedNoise, ModelError, OptionError, RecipeError
from latentry._guidance._second_models._refiner import SwitchToRefiner


@pytest.fixture
def second(tmp_path: Path) -> str:
    """Another checkpoint of the same family, which draws every colour paler."""
    return str(write_toy(tmp_path / "second", pale=0.25))


def request(model: str, **wanted: Any) -> GenerationRequest:
    return GenerationRequest(**({"prompt": "a", "model": model, "seed": 5, "steps": 20, "guidance": 1.0} | wanted))


def latents(engine: Engine, *given: str, **wanted: Any) -> Tensor:
    return engine.generate(request(*given, **wanted)).latents


def calls(engine: Engine, wanted: GenerationRequest) -> list[list[float]]:
    """The timesteps at which each network of a request was asked, the refiner's last."""
    setup = engine.prepare(wanted)
    loaded: list[Any] = [each.model for each in engine._studio.models.load(setup)]
    for model in loaded:
        model.calls.clear()
    engine.generate(wanted)
    return [[timestep for _, timestep in model.calls] for model in loaded]


@pytest.mark.parametrize("switch", [0.05, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("scheduler", ["first", "two-stage"])
def test_each_network_is_used_on_its_side_of_the_switch(
    engine: Engine, model: str, second: str, scheduler: str, switch: float
) -> None:
    early, late = calls(engine, request(model, refiner=second, switch=switch, scheduler=scheduler))
    alone = calls(engine, request(model, scheduler=scheduler))[0]
    assert early == [timestep for timestep in alone if timestep >= 1000 * (1 - switch)]
    assert late == [timestep for timestep in alone if timestep < 1000 * (1 - switch)]
    assert early
    assert late


def test_the_level_of_the_switch_is_the_models(engine: Engine, model: str) -> None:
    """As in diffusers: ``denoising_end`` keeps timesteps down to the cut-off, ``denoising_start`` those below it."""
    plan = engine.prepare(request(model)).plan
    switched = SwitchToRefiner(lambda query, *_: ("first",), lambda query, *_: ("second",), 200)
    asked = [plan.process.at(timestep=timestep).query(torch.zeros(1)) for timestep in (201.0, 200.0, 199.9)]
    assert [switched(query)[0] for query in asked] == ["first", "first", "second"]


def test_the_refiner_continues_from_the_models_sample(engine: Engine, model: str, second: str) -> None:
    """Shown with a one-step method: the model's steps, then the refiner's from their sample."""
    together = latents(engine, model, refiner=second, switch=0.5, scheduler="first")
    setups = [engine.prepare(request(path, scheduler="first")) for path in (model, second)]
    plan = setups[0].plan
    cut = sum(point.timestep >= 500 for point in plan.points[:-1])
    run = plan.start(KeyedNoise(5, (0,)).initial(torch.empty_like(together)) * plan.noise_scale())
    models = [setup.checkpoint.load(setup.device, setup.dtype) for setup in setups]
    while (query := run.query) is not None:
        network = models[run.index >= cut]
        told = network.encode_prompt(["a"], setups[0].prompt_settings(negative=False))
        run.advance(network.predict(query.input, query.timestep, told))
    assert torch.allclose(run.sample, together, atol=1e-6)
    assert not torch.allclose(together, latents(engine, model, scheduler="first"))
    assert not torch.allclose(together, latents(engine, second, scheduler="first"))


def test_a_switch_at_either_end_uses_one_network_only(engine: Engine, model: str, second: str) -> None:
    assert torch.equal(latents(engine, model, refiner=second, switch=0.9999), latents(engine, model))
    assert torch.equal(latents(engine, model, refiner=second, switch=1e-6), latents(engine, second))


def test_both_networks_are_kept_and_dropped_together(engine: Engine, model: str, second: str) -> None:
    wanted = request(model, refiner=second)
    both = engine._studio.models.load(engine.prepare(wanted))
    assert engine._studio.models.load(engine.prepare(wanted)) == both
    assert engine._studio.models.load(engine.prepare(request(model))) == both[:1]
    again = engine._studio.models.load(engine.prepare(wanted))
    assert again[0] is both[0]
    assert again[1] is not both[1]


def test_both_networks_have_the_requested_attention(engine: Engine, model: str, second: str) -> None:
    wanted = request(model, refiner=second, attention="able")
    both: list[Any] = [each.model for each in engine._studio.models.load(engine.prepare(wanted))]
    engine.generate(wanted)
    assert [len(model.backends) for model in both] == [1, 1]


def test_a_recipe_knows_the_refiner(engine: Engine, model: str, second: str) -> None:
    result = engine.generate(request(model, refiner=second, switch=0.6))
    recipe = result.recipes[0]
    assert (recipe.request.refiner, recipe.request.switch) == (str(Path(second).resolve()), 0.6)
    assert recipe.refiner
    assert torch.equal(engine.reproduce(recipe).latents, result.latents)
    write_toy(Path(second), pale=0.5)
    with pytest.raises(RecipeError, match=r"second is not the one that the picture was made with"):
        engine.reproduce(recipe)
    assert engine.generate(request(model)).recipes[0].refiner == ""


@pytest.mark.parametrize(
    ("about", "reason"),
    [
        ({"kind": "flow"}, "Its family is toy:toy-flow"),
        ({"prediction": "epsilon"}, "prediction type"),
        ({"channels": 8}, r"Its latents have the shape \(8, 4, 4\)"),
        ({"variants": ["told"]}, "Its guidance is distilled"),
        ({"variants": ["painter"]}, "An inpainting network"),
    ],
    ids=str,
)
def test_a_refiner_that_does_not_match_is_refused_before_weights_load(
    engine: Engine, model: str, tmp_path: Path, about: dict[str, Any], reason: str
) -> None:
    other = str(write_toy(tmp_path / "other", fails="loading", **about))
    with pytest.raises(IncompatibleError, match=f"cannot take over(.|\n)*{reason}"):
        engine.generate(request(model, refiner=other))


def test_a_process_without_timesteps_is_refused(engine: Engine, tmp_path: Path) -> None:
    folder = str(write_toy(tmp_path / "flow", kind="flow"))
    with pytest.raises(IncompatibleError, match="no timesteps to switch at"):
        engine.prepare(request(folder, refiner=folder))


def test_a_missing_refiner_is_refused(engine: Engine, model: str) -> None:
    with pytest.raises(ModelError, match="There is no model 'nowhere'"):
        engine.prepare(request(model, refiner="nowhere"))


def test_a_family_without_conditioning_options_refuses_them(engine: Engine, model: str) -> None:
    assert engine.prepare(request(model)).request.conditioning == {}
    with pytest.raises(OptionError, match="'toy-vp' has no conditioning options") as caught:
        engine.prepare(request(model, conditioning={"crop": 3}))
    assert "crop" in caught.value.remedy
