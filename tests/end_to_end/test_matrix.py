"""Every installed scheduler on every family: it runs in a few steps, or is refused before a weight is loaded.

Which of both is decided from the records alone; planted schedulers see to it that each kind of refusal is met.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from support.families import TINY
from support.models import PROMPT
from support.models_flux import write_flux
from support.toy import PLUGIN

from latentry import Engine, GenerationRequest, IncompatibleError, PluginHost, compatible
from latentry.models import Model

pytestmark = pytest.mark.slow

HOST = PluginHost(plugin_dirs=[PLUGIN.parent / "capable.py"])
STEPS, SIDE = 3, 32
OUTPUTS = {"uncond"}
"""What a scheduler can have of an evaluation besides the guided output."""


def hindrance(scheduler: str, family: str) -> str:
    """What a refusal has to name; empty where the two fit."""
    spec, process = HOST.schedulers[scheduler], HOST.families[family].process
    if process not in spec.processes:
        return f"this model's is {process}"
    return ", ".join(sorted(spec.needs - OUTPUTS))


PAIRS = [(family, scheduler) for family in TINY for scheduler in HOST.schedulers]
FITTING = [pair for pair in PAIRS if not hindrance(*pair[::-1])]
REFUSED = [pair for pair in PAIRS if hindrance(*pair[::-1])]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A tiny model of each family."""
    root = tmp_path_factory.mktemp("matrix")
    return {family: str(tiny.write(root / family.split(":")[1])) for family, tiny in TINY.items()}


@pytest.fixture(scope="module")
def engine() -> Engine:
    """Keeps the model of the last request, so that each is loaded once."""
    return Engine(HOST)


def wanted(folder: str, scheduler: str) -> GenerationRequest:
    size = {"steps": STEPS, "width": SIDE, "height": SIDE}
    # as long as the prompt: some networks take prompts of other lengths in a pass of their own
    negative = PROMPT if "uncond" in HOST.schedulers[scheduler].needs else ""
    asked = {"prompt": PROMPT, "negative": negative, "guidance": 1.0, "seed": 3}
    return GenerationRequest(model=folder, scheduler=scheduler, **asked, **size)


@contextmanager
def counted(model: Model) -> Iterator[list[int]]:
    """Rows of each call of the denoiser."""
    rows: list[int] = []

    def hook(module: Any, given: tuple[Any, ...], options: dict[str, Any]) -> None:
        rows.append(len(given[0] if given else options["hidden_states"]))

    (denoiser,) = (model.networks[part] for part in ("unet", "transformer") if part in model.networks)
    handle = denoiser.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield rows
    finally:
        handle.remove()


def test_every_installed_family_is_here() -> None:
    assert set(TINY) == {HOST.families.qualified(name) for name in HOST.families}
    assert {family for family, _ in REFUSED} == set(TINY)


@pytest.mark.parametrize(("family", "scheduler"), FITTING)
def test_combinations_that_fit_run(engine: Engine, folders: dict[str, str], family: str, scheduler: str) -> None:
    spec, request = HOST.schedulers[scheduler], wanted(folders[family], scheduler)
    setup = engine.prepare(request)
    with counted(engine.load(setup)) as rows:
        found = engine.generate(request)
    assert found.latents.shape == (1, TINY[family].channels, SIDE // 4, SIDE // 4)
    assert torch.isfinite(found.latents).all()
    assert found.images[0].size == (SIDE, SIDE)
    assert set(rows) == {2 if "uncond" in spec.needs else 1}
    assert len(rows) == found.evaluations
    assert setup.plan.evaluations == (None if spec.adaptive else len(rows))
    if not spec.adaptive:
        assert STEPS <= len(rows) <= STEPS * spec.evaluations


@pytest.mark.parametrize(("family", "scheduler"), REFUSED)
def test_combinations_that_do_not_fit_are_refused_before_weights_load(
    folders: dict[str, str], family: str, scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, loads, stages = Engine(HOST), [], []
    fitting = engine.prepare(wanted(folders[family], "euler")).checkpoint
    monkeypatch.setattr(type(fitting), "load", lambda *given: loads.append(given))
    with pytest.raises(IncompatibleError, match=f"{scheduler!r} cannot be used with") as caught:
        engine.generate(wanted(folders[family], scheduler), progress=lambda event: stages.append(event.stage))
    assert hindrance(scheduler, family) in caught.value.why
    assert (loads, stages) == ([], [])
    assert Path(folders[family]).name in caught.value.what


def test_distilled_models_refuse_schedulers_that_evaluate_between_steps(tmp_path: Path) -> None:
    """schnell was distilled to the levels of its steps: Euler is right there, and with churn it is not."""
    model, engine = str(write_flux(tmp_path / "schnell", "schnell")), Engine(HOST)
    for scheduler, options in (("dpm2", {}), ("res-2s", {}), ("euler", {"churn": 1.0})):
        request = wanted(model, scheduler).model_copy(update={"scheduler_options": options, "guidance": 1.0})
        with pytest.raises(IncompatibleError, match=r"cannot be used with .* as it is set") as caught:
            engine.prepare(request)
        assert "between its steps" in caught.value.why
    kept = wanted(model, "euler").model_copy(update={"guidance": 1.0})
    assert engine.prepare(kept).plan.off_grid is None


@pytest.mark.parametrize("family", TINY)
def test_the_matrix_says_what_the_engine_does(engine: Engine, folders: dict[str, str], family: str) -> None:
    """What does not fit is refused for the same reason; of what fits nothing is."""
    for row in compatible(HOST, folders[family]):
        if row.task != "text-to-image" or (not row.fits and "network of" in row.why_not):
            continue
        request = wanted(folders[family], row.scheduler)
        if row.fits:
            engine.prepare(request)
            continue
        with pytest.raises(IncompatibleError) as caught:
            engine.prepare(request)
        assert row.why_not == caught.value.why
