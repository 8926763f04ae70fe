"""Changed attention, network by network, against diffusers' guiders, whose hooks are put on the same networks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
import torch
from diffusers.guiders import PerturbedAttentionGuidance, SmoothedEnergyGuidance
from diffusers.hooks import LayerSkipConfig
from diffusers.hooks.layer_skip import AttentionScoreSkipFunctionMode
from diffusers.hooks.smoothed_energy_guidance_utils import SmoothedEnergyGuidanceConfig, _gaussian_blur_2d
from support.models import write_stable_diffusion
from support.models_flux import write_flux
from support.models_sd3 import write_stable_diffusion_3
from support.models_sdxl import write_stable_diffusion_xl
from torch import Tensor

from latentry import Engine, GenerationRequest, PluginHost
from latentry.models import AttentionChange, PromptSettings

pytestmark = pytest.mark.slow


class Family(NamedTuple):
    """How a tiny model is written, where diffusers finds its blocks, and which of ours they are: none, the middle."""

    write: Callable[[Path], Path]
    stack: str
    blocks: Sequence[int]
    ours: Sequence[int]


MIDDLE = "mid_block.attentions.0.transformer_blocks"
FAMILIES: Mapping[str, Family] = {
    "sd": Family(write_stable_diffusion, MIDDLE, [0], ()),
    "sdxl": Family(write_stable_diffusion_xl, MIDDLE, [0, 1], ()),
    "sd3": Family(write_stable_diffusion_3, "transformer_blocks", [0, 1], (0, 1)),
    "flux": Family(write_flux, "transformer_blocks", [1], (1,)),
}


class Case(NamedTuple):
    """A loaded model, and what it is asked."""

    family: Family
    model: Any
    x: Tensor
    conditioning: Any

    def predict(self, **changed: Any) -> Tensor:
        timestep = 400.0
        found: Tensor = self.model.predict(self.x, timestep, self.conditioning, **changed)
        return found


@pytest.fixture(scope="module", params=FAMILIES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Random networks of one family."""
    family = FAMILIES[request.param]
    folder = family.write(tmp_path_factory.mktemp(request.param) / "model")
    engine = Engine(PluginHost())
    wanted = GenerationRequest(prompt="a", model=str(folder), dtype="float32", device="cpu", attention="native")
    model: Any = engine.load(engine.prepare(wanted))
    width = height = model.checkpoint.size
    x = torch.randn(2, *model.latent_shape(width, height), generator=torch.Generator().manual_seed(5))
    prompts = ["a red circle", "a green star"]
    return Case(family, model, x, model.encode_prompt(prompts, PromptSettings(width, height, guidance=3.5)))


@contextmanager
def hooked(guider: Any, denoiser: Any) -> Iterator[None]:
    """The denoiser as a guider evaluates it for its third output."""
    guider.set_state(4, 20, torch.tensor(0))
    guider._count_prepared = 2 if isinstance(guider, PerturbedAttentionGuidance) else 3
    guider.prepare_models(denoiser)
    try:
        yield
    finally:
        guider.cleanup_models(denoiser)


@contextmanager
def by_hand(family: Family, denoiser: Any, blur: float | None) -> Iterator[None]:
    """What the guiders do, with their own functions, on networks that they do not take in this version."""
    layers = [denoiser.get_submodule(f"{family.stack}.{number}") for number in family.blocks]
    attention = [layer for block in layers for layer in block.modules() if hasattr(layer, "set_processor")]
    with ExitStack() as stack:
        for layer in attention:
            if blur is None:
                stack.enter_context(patch.object(layer, "forward", _skipping(layer.forward)))
            else:
                stack.callback(layer.to_q.register_forward_hook(_smoothing(blur)).remove)
        yield


def _skipping(forward: Callable[..., Any]) -> Callable[..., Any]:
    def skipping(*given: Any, **options: Any) -> Any:
        with AttentionScoreSkipFunctionMode():
            return forward(*given, **options)

    return skipping


def _smoothing(blur: float) -> Callable[..., Tensor]:
    size = math.ceil(6 * blur) + 1 - math.ceil(6 * blur) % 2
    return lambda module, given, q: _gaussian_blur_2d(q, size, blur, 9999.9)


def theirs(family: Family, denoiser: Any, blur: float | None) -> AbstractContextManager[None]:
    """diffusers' weakened network."""
    if "mid_block" not in family.stack:
        return by_hand(family, denoiser, blur)
    if blur is not None:
        smoothed = SmoothedEnergyGuidanceConfig(list(family.blocks), fqn=family.stack)
        return hooked(SmoothedEnergyGuidance(seg_blur_sigma=blur, seg_guidance_config=smoothed), denoiser)
    perturbed = LayerSkipConfig(
        indices=list(family.blocks), fqn=family.stack, skip_attention=False, skip_attention_scores=True, skip_ff=False
    )
    share = {"perturbed_guidance_start": 0.0, "perturbed_guidance_stop": 1.0}
    return hooked(PerturbedAttentionGuidance(perturbed_guidance_config=perturbed, **share), denoiser)


def apart(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


@pytest.mark.parametrize(
    ("blur", "peer"),
    [
        pytest.param(None, None, id="identity"),
        # diffusers takes the mean for blurs up to 9999.9 and a kernel beyond, the other way round than the paper's code
        pytest.param(math.inf, 3.0, id="mean"),
        pytest.param(20_000.0, 20_000.0, id="kernel"),
    ],
)
def test_a_weakened_output_is_the_guiders(case: Case, blur: float | None, peer: float | None) -> None:
    plain = case.predict()
    with theirs(case.family, case.model.denoiser, peer):
        weakened = case.predict()
    assert apart(weakened, plain) > 1e-4
    with case.model.set_attention("sdpa"):
        ours = case.predict(attention=AttentionChange(tuple(case.family.ours), blur))
        untouched = case.predict()
    assert apart(ours, weakened) < 1e-5
    assert apart(untouched, plain) < 1e-5
