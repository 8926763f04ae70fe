"""How the networks of a request are kept in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from latentry._contract._lora import ChosenLoras
from latentry._contract._model import Checkpoint, StoresWeights
from latentry._errors import OptionError
from latentry._memory._tiling import choose_tile, memory_of
from latentry._request._memory_policy import Capture, MemoryPolicy, Tiling, WeightStorage


@dataclass(frozen=True)
class ChosenMemory:
    """What the request and its host's policy come to.

    Attributes:
        policy: the host's; ``offload`` and what belongs to it are read from it.
        tile: side in pixels of the tiles in which larger pictures go through the autoencoder; None: whole.
        slicing: the pictures of a batch go through the autoencoder one after another.
        dtypes: of the parts that have a dtype of their own.
        capture: whether and how the networks are captured as graphs.
        weights: what weights are kept in.
        asked: what was asked of ``capture``, which recipes hold: a picture does not depend on offload.
    """

    policy: MemoryPolicy
    tile: int | None
    slicing: bool
    dtypes: Mapping[str, torch.dtype]
    capture: Capture
    weights: WeightStorage = "plain"
    asked: Capture = "auto"

    @property
    def decided(self) -> dict[str, Any]:
        """The fields of a request for the same."""
        return {
            "vae_tiling": self.tile or False,
            "vae_slicing": self.slicing,
            "capture": self.asked,
            "weights": self.weights,
            "dtypes": {part: str(dtype).split(".")[-1] for part, dtype in self.dtypes.items()},
        }


def choose_memory(
    policy: MemoryPolicy,
    *,
    parts: Iterable[str],
    dtypes: Mapping[str, str] | None,
    tiling: Tiling | None,
    slicing: bool | None,
    capture: Capture | None,
    weights: WeightStorage | None,
    step_cache: bool,
    size: tuple[int, int],
    latent_width: int,
    together: int,
    device: torch.device,
    dtype: torch.dtype,
) -> ChosenMemory:
    """The request's wishes; the policy decides where they are None.

    Args:
        policy: the host's.
        parts: of all models of the request.
        dtypes: of single parts.
        tiling: whether pictures go through the autoencoder in tiles.
        slicing: whether pictures go through it one by one.
        capture: whether and how networks are captured as graphs.
        weights: what weights are kept in.
        step_cache: parts of the network are left out at some evaluations.
        size: width and height of the result in pixels.
        latent_width: width of its latents.
        together: how many pictures are decoded together.
        device: where networks run.
        dtype: what they run in where ``dtypes`` says nothing.

    Raises:
        OptionError: there is no such part, tiles of that side are not possible, or graphs do not go with the offload,
            the step cache or the kept weights.
    """
    chosen = _dtypes(policy.dtypes if dtypes is None else dtypes, tuple(dict.fromkeys(parts)))
    width, height = size
    one_by_one = policy.vae_slicing if slicing is None else slicing
    tile = choose_tile(
        policy.vae_tiling if tiling is None else tiling,
        width * height * (1 if one_by_one else together),
        4 * width // latent_width,  # a quarter of a tile is the overlap
        # a float16 model may keep its autoencoder in float32, so that is what is reckoned with
        size=chosen.get("vae", torch.float32 if dtype == torch.float16 else dtype).itemsize,
        memory=memory_of(device),
    )
    kept = policy.weights if weights is None else weights
    asked = policy.capture if capture is None else capture
    graphs = _capture(asked, policy, kept, step_cache=step_cache)
    return ChosenMemory(policy, tile, one_by_one, chosen, graphs, kept, asked)


def _capture(capture: Capture, policy: MemoryPolicy, weights: WeightStorage, *, step_cache: bool) -> Capture:
    if policy.offload != "none":
        beside, why = f"offload {policy.offload}", "A graph holds its weights where they were when it was captured."
    elif step_cache:
        beside, why = "a step cache", "A graph is the whole network, of which a step cache leaves out a part."
    elif weights != "plain":
        beside, why = f"{weights} weights", "A graph holds its weights as they are computed with."
    else:
        return capture
    if capture in ("off", "auto"):
        return "off"
    raise OptionError(
        f"The networks cannot be captured by {capture} with {beside}.",
        why=why,
        remedy="Leave out one of the two.",
        field="capture",
    )


def check_weights(weights: WeightStorage, checkpoints: Iterable[Checkpoint], loras: ChosenLoras) -> None:
    """Refuses weights in fewer bits for what cannot have them.

    Raises:
        OptionError: the family of a model cannot keep them so, or LoRAs are merged into them.
    """
    if weights == "plain":
        return
    if not all(isinstance(checkpoint, StoresWeights) for checkpoint in checkpoints):
        error = OptionError(
            f"This model's weights cannot be kept as {weights}.",
            why="Its family loads them as they are computed with.",
            remedy="Leave out weights, or compute in bfloat16, whose weights take half of float32.",
            field="weights",
        )
        error.idle = frozenset({"weights"})  # a setting for all models is left out for this one
        raise error
    if loras.requests and loras.mode == "merged":
        raise OptionError(
            f"LoRAs cannot be merged into {weights} weights.",
            why="A changed weight would have to be rounded again.",
            remedy="Use the LoRAs unmerged, which is the default.",
            field="lora_mode",
        )


def about_offload(policy: MemoryPolicy, device: torch.device) -> Iterator[str]:
    """What of a policy has no effect on a device. It is told, not refused: a host has one policy for all requests."""
    if policy.offload == "none" or device.type == "cuda":
        return
    if device.type == "cpu":
        yield "The option offload has no effect here. The device is the CPU, whose memory is where weights wait."
    elif policy.prefetch:
        yield f"The option prefetch has no effect here. Only CUDA devices copy beside their work, not {device.type}."


def parts_of(checkpoints: Iterable[Checkpoint]) -> tuple[str, ...]:
    """The networks of several checkpoints."""
    return tuple(part for checkpoint in checkpoints for part in checkpoint.parts)


def _dtypes(requested: Mapping[str, str], parts: Sequence[str]) -> dict[str, torch.dtype]:
    if wrong := sorted(requested.keys() - set(parts)):
        raise OptionError(
            f"This model has no part {' and no part '.join(map(repr, wrong))}, for which a dtype was given.",
            why=f"Its parts are {', '.join(parts)}.",
            remedy=f"Use one of them, e.g. {parts[-1]}=float32." if parts else "",
            field="dtypes",
        )
    return {part: getattr(torch, name) for part, name in requested.items()}
