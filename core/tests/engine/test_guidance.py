"""Guidance: what the network is asked, and what becomes of its answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.toy import write_toy
from support.toys import First
from torch import Tensor

from latentry import (
    Engine,
    GenerationRequest,
    IncompatibleError,
    OptionError,
    PluginHost,
    Prediction,
    Query,
    Setup,
    Trailing,
    VariancePreserving,
)
from latentry._guidance._classifier_free import ClassifierFree
from latentry._guidance._evaluate import COND, UNCOND, Branch
from latentry._guidance._guidance import ByMethod, Guidance, Guided, SkipLayer
from latentry._resolve._guiding._guidance import steps_within

PROCESS = VariancePreserving.from_betas()
POINT = PROCESS.at(s=1.0)
PLAN = First().plan(8, process=PROCESS, prediction=Prediction.V, sigmas=Trailing())
X = torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(2))
OUTPUTS = {
    branch: torch.randn(X.shape, generator=torch.Generator().manual_seed(seed)) * (1 + seed)
    for seed, branch in enumerate((COND, UNCOND, Branch(skip_layers=(1, 2))))
}


class Asked:
    """Gives the outputs above, and remembers which were wanted together."""

    def __init__(self) -> None:
        self.passes: list[tuple[Branch, ...]] = []

    def __call__(self, query: Query, *branches: Branch) -> tuple[Tensor, ...]:
        self.passes.append(branches)
        return tuple(OUTPUTS[branch] for branch in branches)


def plain(scale: float, active: range, rescale: float = 0.0, *, always: bool = False) -> ByMethod:
    return ByMethod(ClassifierFree(), scale, active, PLAN, rescale, always)


def guided(guidance: Guidance, step: int = 0) -> tuple[Guided, list[tuple[Branch, ...]]]:
    asked = Asked()
    return guidance(asked, Query(X, POINT, 1.0, index=step), guidance.empty), asked.passes


@pytest.mark.parametrize("scale", [0.0, 0.4, 1.0, 1.5, 7.5])
def test_guidance_is_the_line_through_both_outputs(scale: float) -> None:
    found, passes = guided(plain(scale, range(1), always=True))
    expected = OUTPUTS[UNCOND] + scale * (OUTPUTS[COND] - OUTPUTS[UNCOND])
    assert torch.allclose(found.output, expected, atol=1e-5)
    assert found.uncond is OUTPUTS[UNCOND]
    assert passes == [(UNCOND, COND)]


@pytest.mark.parametrize("share", [0.3, 0.7, 1.0])
def test_rescaling_brings_back_the_spread_of_each_sample(share: float) -> None:
    """Lin et al. 2023, eq. 15 and 16, sample by sample."""
    unscaled = guided(plain(6.0, range(1)))[0].output
    found = guided(plain(6.0, range(1), rescale=share))[0].output
    for row, (cfg, cond) in enumerate(zip(unscaled, OUTPUTS[COND], strict=True)):
        rescaled = cfg * (cond.std() / cfg.std())
        assert torch.allclose(found[row], share * rescaled + (1 - share) * cfg, atol=1e-5)
    if share == 1.0:
        assert torch.allclose(found.flatten(1).std(1), OUTPUTS[COND].flatten(1).std(1))


def test_outside_its_interval_nothing_is_guided_or_evaluated() -> None:
    guidance = plain(6.0, range(2, 4), rescale=0.5)
    for step in (0, 1, 4):
        found, passes = guided(guidance, step)
        assert found.output is OUTPUTS[COND]
        assert found.uncond is None
        assert passes == [(COND,)]
    assert guided(guidance, 2)[1] == guided(guidance, 3)[1] == [(UNCOND, COND)]


def test_a_scheduler_that_needs_the_unguided_output_has_it_at_every_step() -> None:
    found, passes = guided(plain(6.0, range(2, 4), always=True), 0)
    assert found.output is OUTPUTS[COND]
    assert found.uncond is OUTPUTS[UNCOND]
    assert passes == [(UNCOND, COND)]


@pytest.mark.parametrize("scale", [1.0, 5.0])
def test_skip_layer_guidance_moves_away_from_the_weakened_output(scale: float) -> None:
    inner = plain(scale, range(4))
    found, passes = guided(SkipLayer(inner, (1, 2), 2.8, range(1, 3)), 1)
    weak = OUTPUTS[Branch(skip_layers=(1, 2))]
    expected = guided(inner, 1)[0].output + 2.8 * (OUTPUTS[COND] - weak)
    assert torch.allclose(found.output, expected, atol=1e-5)
    assert passes[-1] == (Branch(skip_layers=(1, 2)),)
    for step in (0, 3):
        found, passes = guided(SkipLayer(inner, (1, 2), 2.8, range(1, 3)), step)
        assert torch.equal(found.output, guided(inner, step)[0].output)
        assert len(passes) == 1


@pytest.mark.parametrize(
    ("shares", "steps", "inside"),
    [
        ((0.0, 1.0), 4, [0, 1, 2, 3]),
        ((0.25, 0.75), 4, [1, 2]),
        ((0.01, 0.2), 20, [1, 2, 3]),
        ((0.3, 0.7), 10, [3, 4, 5, 6]),
        ((0.7, 1.0), 10, [7, 8, 9]),
        ((0.4, 0.45), 4, []),
    ],
)
def test_an_interval_holds_the_steps_that_begin_within(
    shares: tuple[float, float], steps: int, inside: list[int]
) -> None:
    assert list(steps_within(shares, steps)) == inside


def setup(host: PluginHost, folder: Path, variant: str, **wanted: Any) -> Setup:
    """Weights cannot be loaded: whatever is refused is refused before."""
    model = write_toy(folder / "model", variants=[variant], fails="loading", layers=3)
    return Engine(host).prepare(GenerationRequest(prompt="a", model=str(model), **wanted))


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "a scale": ("fast", {"guidance": 5.0}, "fast cannot be used with a guidance scale of 5"),
    "a negative prompt": ("fast", {"negative": "grey"}, "a negative prompt"),
    "a negative prompt for a network that takes the scale": ("told", {"negative": "grey"}, "takes the scale"),
    "rescaling": ("told", {"guidance_rescale": 0.5}, "rescaled guidance"),
    "an interval": ("told", {"guidance_interval": (0.2, 0.8)}, "a guidance interval"),
    "layers that cannot be left out": ("small", {"skip_layers": (1,)}, "cannot leave layers out"),
    "layers that do not exist": ("layered", {"skip_layers": (1, 3)}, "no layer 3 to skip"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_guidance_that_the_variant_cannot_have_is_refused_before_loading(
    host: PluginHost, tmp_path: Path, what: str
) -> None:
    variant, wanted, message = REFUSED[what]
    with pytest.raises((IncompatibleError, OptionError)) as caught:
        setup(host, tmp_path, variant, **wanted)
    assert message in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize(("variant", "scales"), [("fast", (0.0, 1.0, None)), ("told", (0.5, 3.0, None))])
def test_distilled_networks_are_evaluated_once(
    host: PluginHost, tmp_path: Path, variant: str, scales: tuple[float | None, ...]
) -> None:
    model = str(write_toy(tmp_path / "model", variants=[variant]))
    for scale in scales:
        engine = Engine(host)
        wanted = GenerationRequest(prompt="a", model=model, guidance=scale, count=2, seed=1)
        loaded: Any = engine.load(engine.prepare(wanted))
        engine.generate(wanted)
        assert {rows for rows, _ in loaded.calls} == {2}
        told = {settings.guidance for _, settings in loaded.encoded}
        assert told == ({3.5 if scale is None else scale} if variant == "told" else {None})


def test_the_network_is_evaluated_only_within_the_interval(engine: Engine, model: str) -> None:
    wanted = GenerationRequest(prompt="a", model=model, seed=1, steps=6, guidance_interval=(0.3, 0.7))
    loaded: Any = engine.load(engine.prepare(wanted))
    engine.generate(wanted)
    assert [rows for rows, _ in loaded.calls] == [1, 1, 2, 2, 2, 1]


def test_skipped_layers_reach_the_network(host: PluginHost, tmp_path: Path) -> None:
    """The toy's colour pales with each layer left out, so the picture moves away from grey."""
    engine, model = Engine(host), str(write_toy(tmp_path / "model", variants=["layered"], layers=3))
    without = GenerationRequest(prompt="a", model=model, seed=1, steps=6, guidance=1)
    skipping = without.model_copy(update={"skip_layers": (0, 2), "skip_layer_interval": (0.5, 1.0)})
    loaded: Any = engine.load(engine.prepare(without))
    before = engine.generate(without).latents
    loaded.calls.clear()
    after = engine.generate(skipping).latents
    assert len(loaded.calls) == 6 + 3
    colour = float(loaded.encode_prompt(["a"], loaded.encoded[0][1])["colour"])
    assert float((after - before).mean()) * colour > 0
