"""Recognises and opens T2I-Adapters: first configurations and headers, weights on request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from latentry import Detection, IncompatibleError, ModelFiles
from latentry_diffusers.bundle.networks import Config, Network, PartSpec
from latentry_diffusers.conditioning.files import OneNetwork, open_network
from latentry_diffusers.files.configs import read_json
from latentry_diffusers.files.headers import Headers, count, is_weights, side
from latentry_diffusers.files.read import shared_reader

if TYPE_CHECKING:
    import torch

    from latentry.conditioners import ConditionerCheckpoint
    from latentry_t2i_adapter.adapter import Adapter

LABEL, SURE = "a T2I-Adapter", 0.95
SIGNS = ("adapter.body.0.resnets.0.block1.weight",)
"""Tensors that every T2I-Adapter has."""


def _witness(config: Config) -> tuple[int, ...]:
    kernel = 1 if config.get("adapter_type") == "light_adapter" else 3
    width = config["channels"][0]
    first = width // 4 if kernel == 1 else width
    return (first, first, 3, 3)


PART = PartSpec("t2i_adapter", Network("diffusers:T2IAdapter", SIGNS[0], _witness), {"channels": list}, ())


def detect(files: ModelFiles) -> Detection | None:
    """Whether the files are a T2I-Adapter; None if nothing in them suggests it.

    Raises:
        ModelError: a file is damaged or unsafe.
    """
    if files.path.is_dir():
        named = (read_json(files.path / "config.json") or {}).get("_class_name")
        return _found("config.json names T2IAdapter") if named == "T2IAdapter" else None
    if not is_weights(files.path) or not files.path.is_file():
        return None
    names = shared_reader(files)(files.path).tensors
    return next((_found(f"it holds {sign}") for sign in SIGNS if sign in names), None)


def _found(sign: str) -> Detection:
    return Detection(("adapter",), SURE, (sign,), label=LABEL)


@dataclass(frozen=True)
class AdapterCheckpoint:
    """A T2I-Adapter whose configuration and headers have been read.

    Attributes:
        network: where it lies.
    """

    network: OneNetwork

    def load(self, device: torch.device, dtype: torch.dtype) -> Adapter:
        """Loads it; see ``latentry.conditioners.ConditionerCheckpoint``."""
        from latentry_t2i_adapter.adapter import Adapter

        return Adapter(self.network.load(device, dtype))


def open_conditioner(files: ModelFiles, family: str, base: Any) -> ConditionerCheckpoint:
    """Reads the configuration and headers of an adapter; see ``latentry.conditioners.OpenConditioner``.

    Raises:
        ModelError: a file is missing or damaged, or it is not a T2I-Adapter.
        IncompatibleError: it was made for another network.
    """
    unet = base.bundle.config("unet")
    widths, xl = list(unet["block_out_channels"]), family.endswith(":sdxl")
    likely = {
        "channels": [*widths, widths[-1]] if xl else widths,
        "downscale_factor": 2 * base.factor if xl else base.factor,
    }
    opened = open_network(files, PART, lambda headers: shape(headers, likely["downscale_factor"], xl=xl), likely)
    channels = list(opened.config["channels"])
    if channels[: len(widths)] != widths:
        raise IncompatibleError(
            f"{files.path} does not fit the model.",
            why=f"Its channels are {channels}, and the widths of the model's UNet are {widths}.",
            remedy="Use one that was made for this model.",
            field="controls",
        )
    return AdapterCheckpoint(opened)


def shape(headers: Headers, factor: int, *, xl: bool) -> Mapping[str, Any]:
    """What the headers say of an adapter without a configuration.

    Args:
        headers: by diffusers' names.
        factor: pixels along each side of what its first convolution sees.
        xl: whether it is for SDXL.
    """
    inputs = side(headers, "adapter.conv_in.weight", 1) or side(headers, "adapter.body.0.in_conv.weight", 1)
    light = "adapter.body.0.out_conv.weight" in headers
    return {
        "in_channels": (inputs or 3 * factor**2) // factor**2,
        "num_res_blocks": count(headers, lambda n: f"adapter.body.0.resnets.{n}.block1.weight"),
        "downscale_factor": factor,
        "adapter_type": "light_adapter" if light else "full_adapter_xl" if xl else "full_adapter",
    }
