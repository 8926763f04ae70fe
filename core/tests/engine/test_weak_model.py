"""Guidance away from a second, weaker model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.toy import write_toy, write_toy_file
from torch import Tensor

from latentry import (
    Engine,
    GenerationRequest,
    IncompatibleError,
    LatentryError,
    ModelError,
    OptionError,
    PluginHost,
    Query,
    Recipe,
    RecipeError,
    VariancePreserving,
)
from latentry._guidance._evaluate import COND, UNCOND, Branch
from latentry._guidance._second_models._weak_model import WithWeakModel

WEAK = Branch(weak_model=True)


@pytest.fixture
def weak(tmp_path: Path) -> str:
    """Another checkpoint of the same family, which draws every colour paler."""
    return str(write_toy(tmp_path / "weak", pale=0.25))


def request(model: str, weak: str | None, **wanted: Any) -> GenerationRequest:
    given = {"prompt": "a", "model": model, "seed": 5, "steps": 6, "scheduler": "first"}
    method = {"guidance_method": "apart", "guidance": 3.0, "guidance_model": weak}
    return GenerationRequest(**(given | method | wanted))


def test_branches_go_to_the_network_they_are_of() -> None:
    passes: list[tuple[str, tuple[Branch, ...]]] = []

    def network(name: str) -> Any:
        def evaluate(query: Query, *branches: Branch) -> tuple[str, ...]:
            passes.append((name, branches))
            return tuple(f"{name} {branch.kind}" for branch in branches)

        return evaluate

    both = WithWeakModel(network("model"), network("weak"))
    query = VariancePreserving.from_betas().at(s=1.0).query(torch.zeros(1))
    answers: Any = both(query, UNCOND, WEAK, COND, Branch(negative=True, weak_model=True))
    assert answers == ("model uncond", "weak cond", "model cond", "weak uncond")
    assert passes == [("model", (UNCOND, COND)), ("weak", (COND, UNCOND))]
    passes.clear()
    both(query, COND)
    assert passes == [("model", (COND,))]


def by_hand(engine: Engine, wanted: GenerationRequest, x: Tensor) -> Tensor:
    """The run with both networks, each told the prompt by its own encoder."""
    setup = engine.prepare(wanted)
    models: list[Any] = [each.model for each in engine._studio.models.load(setup)]
    assert len(models) == 2
    told = [model.encode_prompt(["a"], setup.prompt_settings(negative=False)) for model in models]
    run = setup.plan.start(x)
    while (query := run.query) is not None:
        strong, weak = (
            model.predict(query.input, query.timestep, each) for model, each in zip(models, told, strict=True)
        )
        run.advance(weak + 3.0 * (strong - weak))
    return run.sample


def test_the_output_leads_away_from_the_weak_model(engine: Engine, model: str, weak: str) -> None:
    noise = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(2))
    wanted = request(model, weak)
    found = engine.generate(wanted, latents=noise).latents
    setup = engine.prepare(wanted)
    weaker: Any = engine._studio.models.load(setup)[1].model
    assert [rows for rows, _ in weaker.calls] == [1] * 6
    assert setup.guidance.unconditional is False
    assert torch.allclose(found, by_hand(engine, wanted, noise * setup.plan.noise_scale()), atol=1e-5)
    plain = engine.generate(request(model, None, guidance_method=None, guidance=1.0), latents=noise).latents
    assert not torch.allclose(found, plain, atol=1e-2)


def test_a_picture_of_it_is_made_again(engine: Engine, model: str, weak: str) -> None:
    result = engine.generate(request(model, weak))
    recipe = Recipe.model_validate_json(result.recipes[0].model_dump_json())
    assert recipe.weak
    assert recipe.request.guidance_model == weak
    assert torch.equal(engine.reproduce(recipe).latents, result.latents)
    write_toy(Path(weak), pale=0.5)
    with pytest.raises(RecipeError, match="is not the one that the picture was made with"):
        Engine(engine.host).reproduce(recipe)


def test_a_refiner_and_a_weak_model_go_together(engine: Engine, model: str, weak: str, tmp_path: Path) -> None:
    refiner = str(write_toy(tmp_path / "refiner", pale=0.6))
    wanted = request(model, weak, refiner=refiner, switch=0.5)
    models: list[Any] = [each.model for each in engine._studio.models.load(engine.prepare(wanted))]
    assert [each.checkpoint.path.name for each in models] == ["model", "refiner", "weak"]
    engine.generate(wanted)
    assert [len(each.calls) for each in models] == [3, 3, 6]


@pytest.mark.parametrize("scheduler", ["two-stage", "noisy", "greedy"])
def test_a_picture_does_not_depend_on_its_company(engine: Engine, model: str, weak: str, scheduler: str) -> None:
    wanted = {"prompt": ("a", "b c", "d"), "scheduler": scheduler}
    together, alone = (engine.generate(request(model, weak, batch=n, **wanted)).latents for n in (3, 1))
    assert torch.allclose(together, alone, atol=1e-6)


def test_what_does_not_fit_is_refused_before_loading(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    model = str(write_toy(folder, fails="loading"))
    others = {
        "another process": write_toy(tmp_path / "flow", kind="flow"),
        "another prediction": write_toy(tmp_path / "epsilon", prediction="epsilon"),
        "other latents": write_toy(tmp_path / "wide", channels=8),
        "the model itself": folder,
    }
    for path in others.values():
        with pytest.raises(IncompatibleError, match="cannot be used to guide") as caught:
            engine.prepare(request(model, str(path)))
        assert caught.value.field == "guidance_model"
    refused: list[tuple[GenerationRequest, type[LatentryError], str]] = [
        (request(model, None), OptionError, "needs a second model"),
        (request(model, str(tmp_path / "none")), ModelError, "none"),
        (request(model, str(others["other latents"]), guidance_method="carrying"), OptionError, "no effect"),
        (request(model, str(others["other latents"]), guidance_method=None), OptionError, "no effect"),
    ]
    for wanted, kind, message in refused:
        with pytest.raises(kind, match=message):
            engine.prepare(wanted)


def test_a_file_serves_as_well(engine: Engine, model: str, tmp_path: Path) -> None:
    file = str(write_toy_file(tmp_path / "weak.safetensors", pale=0.25))
    folder = str(write_toy(tmp_path / "weak", pale=0.25))
    assert torch.equal(*(engine.generate(request(model, each)).latents for each in (file, folder)))


def test_the_method_is_registered(host: PluginHost) -> None:
    assert host.guidance["apart"].branches == {"weak-model"}
