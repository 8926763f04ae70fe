"""How much memory a host gives to networks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from latentry._request._values._option import Option, Panel

DtypeName = Literal["float32", "float16", "bfloat16"]
Capture = Literal["off", "auto", "graph", "script", "compile"]
"""Whether and how networks are captured as graphs."""
WeightStorage = Literal["plain", "float8", "int8", "int4"]
"""What the weights of a network's blocks are kept in: what they are computed with, or fewer bits."""
Tiling = bool | int | Literal["auto"]
"""Whether pictures go through the autoencoder in tiles; a number is their side in pixels."""


class MemoryPolicy(BaseModel):
    """How a host saves memory and time.

    Where the networks wait makes no difference to pictures; all else here does, and holds where a request leaves it
    open.

    Attributes:
        offload: ``model``: a network is on the device while it is used, and waits in main memory otherwise;
            ``blocks``: so does each group of a network's blocks, of which the device then never holds two.
        blocks_per_group: how many blocks following one another move together; only with ``blocks``.
        prefetch: the group that follows is copied while the present one is used, on a stream of its own out of pinned
            memory, from the second evaluation on; the device then holds two groups, and main memory the weights twice.
            Only with ``blocks``, and only CUDA devices can.
        vae_tiling: larger pictures go through the autoencoder in tiles: never, always (512 pixels, or a side of your
            own), or where it would take more than half of the device's memory (``auto``).
        vae_slicing: the pictures of a batch go through the autoencoder one after another.
        capture: the denoiser runs as a graph, without the Python around its operations: never (``off``); as the calls
            of torch that it was seen to make (``graph``), which gives the same bits and takes some evaluations to make;
            so from the third generation of a kind on, where an evaluation is short (``auto``; for passes that jobs
            share, after a hundred of a kind); as TorchScript (``script``), likewise with the same bits, made in
            seconds; or through ``torch.compile`` (``compile``),
            whose last bits differ, made in minutes.
        weights: what the weights of the blocks of denoiser and text encoders are kept in. ``plain`` is what they are
            computed with. The others are made while they load and multiplied out where they are used: ``float8``
            (e4m3, a scale for each row), ``int8`` and ``int4`` (a scale for each 32: 8.5 and 4.5 bits).
        dtypes: dtypes of parts that are not to run in the request's, e.g. ``{"vae": "float32"}``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    offload: Annotated[Literal["none", "model", "blocks"], Option(Panel.DEVICE)] = Field(
        default="none",
        description="What waits in main memory while it is not used: nothing, whole networks, or blocks of them.",
    )
    blocks_per_group: Annotated[int, Option(Panel.DEVICE, needs="offload")] = Field(
        default=1, ge=1, description="Number of blocks that move together where blocks are offloaded."
    )
    prefetch: Annotated[bool, Option(Panel.DEVICE, needs="offload")] = Field(
        default=False,
        description="Copy the next blocks while the present ones are used: faster, with main memory for a copy.",
    )
    vae_tiling: Tiling = "auto"
    vae_slicing: bool = False
    capture: Capture = "auto"
    weights: WeightStorage = "plain"
    dtypes: dict[str, DtypeName] = Field(default_factory=dict)

    @field_validator("blocks_per_group", "prefetch")
    @classmethod
    def _only_with_blocks(cls, value: int, info: ValidationInfo) -> int:
        beyond_default = value > (1 if info.field_name == "blocks_per_group" else 0)
        if beyond_default and info.data.get("offload", "blocks") != "blocks":
            raise ValueError(f"it must be left out: offload is {info.data['offload']}, and only blocks move in groups")
        return value
