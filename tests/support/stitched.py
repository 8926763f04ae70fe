"""A run put together of several requests, step by step."""

from __future__ import annotations

from contextlib import ExitStack

from torch import Tensor

from latentry import Engine, GenerationRequest, PluginHost


def stitched(host: PluginHost, requests: list[GenerationRequest]) -> Tensor:
    """A run whose step i is answered by the network of the request i."""
    setups = [Engine(host).prepare(each) for each in requests]
    with ExitStack() as stack:
        networks = [stack.enter_context(Engine(host).network(setup)) for setup in setups]
        plan, pictures = setups[0].plan, range(len(setups[0].request.prompts))
        run = plan.start(networks[0].noise(pictures) * plan.noise_scale(), seed=5)
        while (query := run.query) is not None:
            run.advance(networks[query.index](query, pictures))
    return run.sample
