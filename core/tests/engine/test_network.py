"""The network of a request, for plans of the caller's own."""

from __future__ import annotations

import pytest
import torch

from latentry import Engine, GenerationRequest, IncompatibleError, PluginHost


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(PluginHost())


@pytest.mark.slow
def test_a_run_on_it_is_what_the_engine_draws(engine: Engine) -> None:
    prompts = ("a red circle", "a blue square on a green background", "a red circle")
    request = GenerationRequest(prompt=prompts, seed=3, steps=3, scheduler="unipc", guidance=4.0)
    drawn = engine.generate(request).latents
    setup = engine.prepare(request)
    with engine.network(setup) as network:
        for pictures in ([0, 1, 2], [2, 1]):
            run = setup.plan.start(network.noise(pictures) * setup.plan.noise_scale())
            while (query := run.query) is not None:
                run.advance(network(query, pictures))
            assert torch.allclose(run.sample, drawn[pictures], atol=1e-4)


def test_guidance_that_remembers_is_refused(engine: Engine) -> None:
    request = GenerationRequest(
        prompt="a red circle", steps=2, guidance=4.0, guidance_method="apg", guidance_options={"momentum": -0.5}
    )
    with pytest.raises(IncompatibleError, match="remembers"), engine.network(engine.prepare(request)):
        pass
