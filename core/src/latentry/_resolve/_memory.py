"""What a request and its host come to in memory, decided before any weight is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from latentry._contract._model import Checkpoint
from latentry._discovery import PluginHost
from latentry._errors import OptionError
from latentry._files._locate import Located
from latentry._memory._tiling import choose_tile, memory_of
from latentry._request._generation_request import GenerationRequest
from latentry._request._memory_policy import MemoryPolicy
from latentry._resolve._canvas import Canvas


@dataclass(frozen=True)
class Memory:
    """See the module.

    Attributes:
        policy: the host's; of it ``offload`` and ``blocks_per_group`` count here, the rest was decided.
        tile: side in pixels of the tiles in which larger pictures go through the autoencoder; None: whole.
        slicing: the pictures of a batch go through it one after another.
        dtypes: of the parts that do not run in the request's.
    """

    policy: MemoryPolicy
    tile: int | None
    slicing: bool
    dtypes: Mapping[str, torch.dtype]

    @property
    def decided(self) -> dict[str, Any]:
        """What a request that asks for the same would say."""
        return {
            "vae_tiling": self.tile or False,
            "vae_slicing": self.slicing,
            "dtypes": {part: str(dtype).split(".")[-1] for part, dtype in self.dtypes.items()},
        }


def choose_memory(
    policy: MemoryPolicy,
    request: GenerationRequest,
    checkpoints: Sequence[Checkpoint],
    canvas: Canvas,
    device: torch.device,
    dtype: torch.dtype,
) -> Memory:
    """What the request leaves open is the policy's.

    Args:
        policy: the host's.
        request: what is wanted.
        checkpoints: of all models of the request.
        canvas: what is drawn on.
        device: where networks run.
        dtype: what they run in where nothing else is said.

    Raises:
        OptionError: no such part, or tiles that cannot be.
    """
    parts = dict.fromkeys(part for checkpoint in checkpoints for part in checkpoint.parts)
    dtypes = _dtypes(policy.dtypes if request.dtypes is None else request.dtypes, tuple(parts))
    width, height = canvas.size
    slicing = policy.vae_slicing if request.vae_slicing is None else request.vae_slicing
    tile = choose_tile(
        policy.vae_tiling if request.vae_tiling is None else request.vae_tiling,
        width * height * (1 if slicing else min(request.batch, len(request.prompts))),
        4 * width // canvas.latent_shape[-1],  # a quarter of a tile is the overlap
        size=dtypes.get("vae", torch.float32 if dtype == torch.float16 else dtype).itemsize,  # it may be kept in it
        memory=memory_of(device),
    )
    return Memory(policy, tile, slicing, dtypes)


def _dtypes(asked: Mapping[str, str], parts: Sequence[str]) -> dict[str, torch.dtype]:
    if wrong := sorted(asked.keys() - set(parts)):
        raise OptionError(
            f"There is no part {' and no part '.join(map(repr, wrong))} to have a dtype of its own.",
            why=f"The parts of this model are {', '.join(parts)}.",
            remedy=f"Use one of them, e.g. --dtype {parts[-1]}=float32." if parts else "",
        )
    return {part: getattr(torch, name) for part, name in asked.items()}


def leave_out(host: PluginHost, request: GenerationRequest, located: Located) -> Located:
    """The checkpoint without the parts that the request wants left out.

    Raises:
        OptionError: it cannot do without them.
    """
    optional = host.families[located.family].optional_parts
    if wrong := [part for part in request.without if part not in optional]:
        can = f"What can be left out is {' and '.join(optional)}." if optional else "It needs all of its parts."
        raise OptionError(
            f"{located.name} cannot do without {' and '.join(wrong)}.", why=can, remedy="Leave that --without out."
        )
    return replace(located, files=replace(located.files, without=request.without))
