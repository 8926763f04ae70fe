"""What an evaluation of the denoiser needs beside its weights, whole and in tiles, for the published sizes of networks.

Counted, not timed: networks and samples are on the meta device, and every tensor that torch makes is counted from when
it is made to when nothing refers to it. Kernels' own scratch space is not in it, nor is attention's matrix of scores,
which fused kernels do not make. It needs neither weights nor memory and gives the same on every machine::

    python benchmarks/tiles.py [--side 2048] [--tile 1024] [--json]
"""

from __future__ import annotations

import argparse
import json
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from latentry._guidance._tiles import Tiles

FACTOR = 8
"""Pixels of a picture for one of its latents, in each direction."""
Predict = Callable[[Tensor], Tensor]


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of tensors while they exist.

    Attributes:
        peak: the most at any time within the ``with`` block, of what was made in it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak, self._now, self._known = 0, 0, dict[int, Any]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        outputs = func(*args, **(kwargs or {}))
        given = {each.untyped_storage()._cdata for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)}
        for each in tree_leaves(outputs):
            if isinstance(each, Tensor) and each.untyped_storage()._cdata not in given:
                self._count(each.untyped_storage())
        return outputs

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._now += size
        self.peak = max(self.peak, self._now)
        self._known[key] = weakref.finalize(storage, self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self._now -= size
        del self._known[key]


class FusedAttention(TorchFunctionMode):
    """Attention as fused kernels do it, which make nothing but the output; the meta device has none of them."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is scaled_dot_product_attention:
            query, _, value = (*args, *(kwargs or {}).values())[:3]
            return query.new_empty((*query.shape[:-1], value.shape[-1]))
        return func(*args, **(kwargs or {}))


def networks(dtype: torch.dtype) -> Iterator[tuple[str, Callable[[int], Tensor], Predict]]:
    """Names, samples of a side in latents, and what predicts from them; with and without the prompt in one pass."""
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    from latentry_sd.variants import UNETS as SD
    from latentry_sdxl.variants import UNETS as SDXL

    added = {"text_embeds": torch.zeros(2, 1280), "time_ids": torch.zeros(2, 6)}
    for name, config, more in (
        ("SD 1.5", SD["sd15"], {}),
        ("SDXL", SDXL["base"], {"added_cond_kwargs": {key: value.to("meta", dtype) for key, value in added.items()}}),
    ):
        with torch.device("meta"):
            unet = Module.to(UNet2DConditionModel(**config), dtype).eval()
        told = torch.zeros(2, 77, config["cross_attention_dim"], device="meta", dtype=dtype)
        step = torch.zeros(2, device="meta")

        def predict(x: Tensor, unet: Any = unet, told: Tensor = told, step: Tensor = step, more: Any = more) -> Tensor:
            found: Tensor = unet(torch.cat([x, x]), step, told, **more, return_dict=False)[0]
            return found[:1]

        yield name, lambda side: torch.zeros(1, 4, side, side, device="meta", dtype=dtype), predict


def peaks(sample: Callable[[int], Tensor], predict: Predict, side: int, tile: int) -> tuple[int, int]:
    """Bytes of an evaluation of a square picture, whole and in tiles that share a quarter.

    Args:
        sample: of a side in latents.
        predict: the network.
        side: of the picture in pixels.
        tile: of a tile.
    """
    whole, part = side // FACTOR, tile // FACTOR
    tiles = Tiles((tile, tile), (whole, whole), (part, part), part // 4)
    found = []
    for evaluate in (predict, lambda x: tiles(x, predict)):
        x = sample(whole)
        with torch.no_grad(), FusedAttention(), LiveBytes() as live:
            evaluate(x)
        found.append(live.peak)
    return found[0], found[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--tile", type=int, default=1024)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    for name, sample, predict in networks(torch.float16):
        whole, tiled = peaks(sample, predict, options.side, options.tile)
        rows.append({"network": name, "side": options.side, "tile": options.tile, "whole": whole, "tiled": tiled})
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"| network, {options.side}×{options.side} in float16 | whole | tiles of {options.tile} |\n|---|---|---|")
    for row in rows:
        print(f"| {row['network']} | {row['whole'] / 2**20:,.0f} MiB | {row['tiled'] / 2**20:,.0f} MiB |")


if __name__ == "__main__":
    main()
