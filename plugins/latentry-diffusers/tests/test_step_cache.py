"""Step caches of networks beside diffusers' own first-block cache, and beside networks whose features are put back."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from support.host_copies import HostCopies
from torch import Tensor

from latentry.models import CachedPass, CacheMemory, CachePart, StepCache
from latentry_diffusers.model.step_cache import BlockCache, TransformerCache, UNetCache

SIDE = 8


def sd3() -> Any:
    from diffusers import SD3Transformer2DModel

    return SD3Transformer2DModel(
        sample_size=SIDE,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=3,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=16,
        caption_projection_dim=16,
        pooled_projection_dim=8,
        pos_embed_max_size=8,
    )


def flux() -> Any:
    from diffusers import FluxTransformer2DModel

    return FluxTransformer2DModel(
        in_channels=16,
        num_layers=2,
        num_single_layers=3,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=16,
        pooled_projection_dim=8,
        axes_dims_rope=(4, 2, 2),
    )


def unet() -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        block_out_channels=(8, 16, 16),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=4,
        norm_num_groups=4,
    )


def blocks_of(network: Any) -> list[Any]:
    return [*network.transformer_blocks, *getattr(network, "single_transformer_blocks", ())]


def call(network: Any, x: Tensor, timestep: float) -> Tensor:
    """The output for samples (rows, 4, side, side), which are told the same whatever their number."""
    rows, source = len(x), torch.Generator().manual_seed(5)
    text, pooled = (torch.randn(1, *shape, generator=source) for shape in ((6, 16), (8,)))
    told: dict[str, Any] = {"encoder_hidden_states": text.expand(rows, -1, -1), "return_dict": False}
    name, times = type(network).__name__, torch.full((rows,), timestep)
    with torch.no_grad():
        if name.startswith("UNet"):
            return network(x, times * 1000, **told)[0]
        told["pooled_projections"] = pooled.expand(rows, -1)
        if name.startswith("SD3"):
            return network(x, timestep=times * 1000, **told)[0]
        places = torch.zeros(16, 3)
        places[:, 1], places[:, 2] = torch.arange(16) // 4, torch.arange(16) % 4
        tokens = torch.nn.functional.pixel_unshuffle(x, 2).flatten(2).transpose(1, 2)
        return network(tokens, timestep=times, txt_ids=torch.zeros(6, 3), img_ids=places, **told)[0]


def path(seed: int, steps: int = 8) -> list[tuple[Tensor, float]]:
    """Samples on a bent way from noise to something, of a length that makes some changes small and some large."""
    start, end, aside = torch.randn(3, 1, 4, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
    times = [1.0 - (step / steps) ** 2 * 0.9 for step in range(steps)]
    return [(t * start + (1 - t) * end + 0.3 * t * (1 - t) * aside, t) for t in times]


def cached(network: Any, blocks: BlockCache, memory: CacheMemory, x: Tensor, timestep: float) -> Tensor:
    cache = CachedPass([CachePart(memory, len(x), timestep)])
    with blocks.serving(cache, len(x)):
        output = call(network, x, timestep)
    cache.commit()
    return output


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def between_changes(network: Any, way: list[tuple[Tensor, float]]) -> float:
    """A threshold that some changes along a path are below, and some above."""
    blocks, changes = TransformerCache(blocks_of(network)), list[float]()

    class Noting(CacheMemory):
        def change(self, first: Tensor) -> Tensor | None:
            found = super().change(first)
            changes.extend([] if found is None else [float(found)])
            return found

    memory = Noting(StepCache("first-block", 1e-9))
    for x, t in way:
        cached(network, blocks, memory, x, t)
    return sum(sorted(changes)[2:4]) / 2


def test_the_first_block_cache_is_that_of_diffusers() -> None:
    """The same evaluations are computed, with the same outputs. For SD3 diffusers has none."""
    from diffusers.hooks import FirstBlockCacheConfig, apply_first_block_cache

    ours, way = flux(), path(int(torch.randint(1000, ())))
    threshold, theirs = between_changes(ours, way), copy.deepcopy(ours)
    memory, blocks = CacheMemory(StepCache("first-block", threshold)), TransformerCache(blocks_of(ours))
    apply_first_block_cache(theirs, FirstBlockCacheConfig(threshold=threshold))
    ran: list[int] = []
    blocks_of(theirs)[1].attn.register_forward_hook(lambda *args: ran.append(len(decisions)))
    decisions: list[bool] = []
    with theirs.cache_context("cond"):
        for x, t in way:
            expected = call(theirs, x, t)
            found = cached(ours, blocks, memory, x, t)
            assert torch.allclose(found, expected, atol=1e-5), len(decisions)
            decisions.append(not memory.made_up)
    assert ran == [number for number, computed in enumerate(decisions) if computed]
    assert 0 < sum(decisions) < len(way), "the threshold separates nothing"


def test_what_the_blocks_add_is_put_back_where_they_are_left_out() -> None:
    """A whole SD3 network in which torch's own hook puts an earlier sum in place of a new one gives the same."""
    ours, way = sd3(), path(int(torch.randint(1000, ())))
    whole = copy.deepcopy(ours)
    memory, blocks = (
        CacheMemory(StepCache("first-block", between_changes(ours, way))),
        TransformerCache(blocks_of(ours)),
    )
    heads, sums, put_back = list[Tensor](), list[Tensor](), list[bool]()

    def last(module: Any, args: Any, output: tuple[Any, Tensor]) -> tuple[Any, Tensor]:
        if put_back[-1]:
            return output[0], heads[-1] + sums[-1]
        sums.append(output[1] - heads[-1])
        return output

    blocks_of(whole)[0].register_forward_hook(lambda module, args, output: heads.append(output[1]))
    blocks_of(whole)[-1].register_forward_hook(last)
    for x, t in way:
        found = cached(ours, blocks, memory, x, t)
        put_back.append(memory.made_up)
        assert torch.allclose(found, call(whole, x, t), atol=1e-5), len(put_back)
    assert 0 < sum(put_back) < len(way)


def test_deep_features_are_put_back_where_they_came_from() -> None:
    """A whole UNet in which torch's own hook puts earlier features in place of new ones gives the same."""
    ours, memory = unet(), CacheMemory(StepCache("deep", 3))
    blocks, kept, put_back = UNetCache(ours), list[Tensor](), list[bool]()
    whole = copy.deepcopy(ours)

    def hook(module: Any, args: Any, output: Tensor) -> Tensor:
        if put_back[-1]:
            return kept[-1]
        kept.append(output)
        return output

    whole.up_blocks[-2].register_forward_hook(hook)
    ran: list[int] = []
    ours.mid_block.resnets[0].register_forward_hook(lambda *args: ran.append(len(put_back) - 1))
    for number, (x, t) in enumerate(path(3)):
        put_back.append(number % 3 != 0)
        expected = call(whole, x, t)
        found = cached(ours, blocks, memory, x, t)
        assert memory.made_up == put_back[-1]
        assert torch.allclose(found, expected, atol=1e-5), number
    assert ran == [0, 3, 6], "lower levels ran where they were to be left out"


@pytest.mark.parametrize(("build", "kind"), [(sd3, "taylor"), (flux, "taylor"), (flux, "first-block"), (unet, "deep")])
def test_rows_of_unlike_decisions_share_a_pass(build: Callable[[], Any], kind: str) -> None:
    """Each gives what it gives alone, and the blocks run for the chosen rows only."""
    network = build()
    blocks: BlockCache = UNetCache(network) if kind == "deep" else TransformerCache(blocks_of(network))
    cache = StepCache(kind, 0.9 if kind == "first-block" else 4)  # type: ignore[arg-type]
    way, fresh = path(1), torch.randn(2, 4, SIDE, SIDE, generator=torch.Generator().manual_seed(9))
    seasoned = CacheMemory(cache)
    for x, t in way[:2]:
        cached(network, blocks, seasoned, x, t)
    x, t = way[2]
    alone = cached(network, blocks, CacheMemory(cache, seasoned.state), x, t), call(network, fresh, t)
    inner = network.mid_block.resnets[0] if kind == "deep" else blocks_of(network)[1].attn
    rows: list[int] = []
    inner.register_forward_hook(lambda module, args, kwargs, output: rows.append(_rows(args, kwargs)), with_kwargs=True)
    together = CachedPass([CachePart(seasoned, 1, t), CachePart(CacheMemory(cache), 2, t)])
    with HostCopies() as plain:
        call(network, torch.cat([x, fresh]), t)
    rows.clear()
    with blocks.serving(together, 3), HostCopies() as copies:
        found = call(network, torch.cat([x, fresh]), t)
    together.commit()
    assert (copies.made, copies.lists) == (plain.made + 1, plain.lists), "which rows are chosen is copied once"
    assert seasoned.made_up
    assert rows == [2]
    assert torch.allclose(found, torch.cat(alone), atol=1e-5)


def _rows(args: Any, kwargs: Any) -> int:
    return len(args[0] if args else kwargs["hidden_states"])


@pytest.mark.parametrize("build", [sd3, unet])
def test_blocks_are_their_own_again(build: Callable[[], Any]) -> None:
    """After a pass, and after one that failed: then memories are as before it."""
    network, memory = build(), CacheMemory(StepCache("deep", 2))
    deep = build is unet
    blocks: BlockCache = UNetCache(network) if deep else TransformerCache(blocks_of(network))
    memory = CacheMemory(StepCache("deep" if deep else "taylor", 2))
    (x, t), *_ = path(2)
    plain = call(network, x, t)
    assert torch.equal(cached(network, blocks, memory, x, t), plain)
    state = memory.state
    with pytest.raises(KeyError), blocks.serving(CachedPass([CachePart(memory, 1, t)]), 1):
        raise KeyError
    assert memory.state is state
    assert not any("forward" in vars(module) for module in network.modules())
    assert torch.equal(call(network, x, t), plain)
