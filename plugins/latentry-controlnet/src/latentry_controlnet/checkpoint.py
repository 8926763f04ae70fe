"""Opens a ControlNet for a model: first configurations and headers, weights on request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from latentry import IncompatibleError, ModelFiles
from latentry_controlnet import networks
from latentry_controlnet.detect import LABELS, detect
from latentry_diffusers.conditioning.files import OneNetwork, open_network

if TYPE_CHECKING:
    import torch

    from latentry.conditioners import ConditionerCheckpoint
    from latentry_diffusers.bundle.networks import Config
    from latentry_diffusers.conditioning.conditioner import NetworkConditioner

UNETS = ("latentry-sd:sd", "latentry-sdxl:sdxl")
FAMILIES = {"unet": UNETS, "union": UNETS, "sd3": ("latentry-sd3:sd3",), "flux": ("latentry-flux:flux",)}
"""The families that each variant steers."""


@dataclass(frozen=True)
class ControlNetCheckpoint:
    """A ControlNet whose configuration and headers have been read.

    Attributes:
        network: where it lies.
        variant: as detected.
        base: configuration of the denoiser that it steers.
    """

    network: OneNetwork
    variant: str
    base: Config

    def load(self, device: torch.device, dtype: torch.dtype) -> NetworkConditioner:
        """Loads it; see ``latentry.conditioners.ConditionerCheckpoint``."""
        network = self.network.load(device, dtype)
        if self.variant == "flux":
            from latentry_controlnet.flux import FluxControlNet

            return FluxControlNet(network, self.base)
        if self.variant == "sd3":
            from latentry_controlnet.sd3 import SD3ControlNet

            return SD3ControlNet(network, self.base)
        from latentry_controlnet.unet import UNetControlNet

        return UNetControlNet(network, union=self.variant == "union")


def open_conditioner(files: ModelFiles, family: str, base: Any) -> ConditionerCheckpoint:
    """Reads the configuration and headers of a ControlNet; see ``latentry.conditioners.OpenConditioner``.

    Raises:
        ModelError: a file is missing or damaged, or it is not a ControlNet.
        IncompatibleError: it was made for another network.
    """
    found = detect(files)
    variant = found.variants[0] if found is not None and found.variants else "unet"
    if family not in FAMILIES[variant]:
        raise IncompatibleError(
            f"{files.path} does not fit the model.",
            why=f"It is {LABELS[variant]}, and the model's family is {family}.",
            remedy="Use one that was made for this model.",
            field="controls",
        )
    if variant == "flux":
        config = base.bundle.config("transformer")
        likely = {**config, **_blocks_of_xlabs(files)}
        return ControlNetCheckpoint(open_network(files, networks.FLUX, networks.flux_shape, likely), variant, config)
    if variant == "sd3":
        config = base.bundle.config("transformer")
        return ControlNetCheckpoint(open_network(files, networks.SD3, lambda headers: {}, config), variant, config)
    config = base.bundle.config("unet")
    spec = networks.UNION if variant == "union" else networks.UNET
    opened = open_network(files, spec, networks.unet_shape, networks.likely_unet(config))
    _check_unet(files, opened.config, config)
    return ControlNetCheckpoint(opened, variant, config)


def _blocks_of_xlabs(files: ModelFiles) -> dict[str, int]:
    """How many blocks a file in XLabs' layout has, by which its names are made."""
    from latentry_diffusers.files.headers import count
    from latentry_diffusers.files.read import shared_reader

    names = shared_reader(files)(files.path).tensors
    return {"num_layers": count(names, lambda n: f"controlnet_blocks.{n}.weight"), "num_single_layers": 0}


def _check_unet(files: ModelFiles, config: Config, base: Config) -> None:
    names = ["block_out_channels", "layers_per_block"]
    if any("CrossAttn" in kind for kind in config["down_block_types"]):
        names.append("cross_attention_dim")
    for name in names:
        one, other = (each.get(name, 2 if name == "layers_per_block" else None) for each in (config, base))
        if _plain(one) != _plain(other):
            raise IncompatibleError(
                f"{files.path} does not fit the model.",
                why=f"Its {name} is {one}, and that of the model's UNet is {other}.",
                remedy="Use one that was made for this model.",
                field="controls",
            )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value
