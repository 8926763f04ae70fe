"""Files of one network that steers a denoiser: its class, its configuration and its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentry import ModelError, ModelFiles
from latentry_diffusers.bundle.known_tensors import check_readable
from latentry_diffusers.bundle.networks import Config, PartSpec
from latentry_diffusers.bundle.sources import Part, find_parts
from latentry_diffusers.files.configs import read_config
from latentry_diffusers.files.headers import Headers
from latentry_diffusers.files.read import shared_reader

if TYPE_CHECKING:
    import torch

CONFIG = "config.json"
Shaped = Callable[[Headers], Config]
"""Makes the configuration from the headers of a file that has none, by the network's own names."""


@dataclass(frozen=True)
class OneNetwork:
    """A network whose configuration and headers have been read.

    Attributes:
        part: where it lies.
    """

    part: Part

    @property
    def config(self) -> Config:
        """Its configuration."""
        return self.part.config

    def load(self, device: torch.device, dtype: torch.dtype) -> Any:
        """The network with its weights.

        Raises:
            ModelError: a tensor is missing or has the wrong shape.
        """
        from latentry_diffusers.loading.build import build
        from latentry_diffusers.loading.load import check_fit, fill

        network = build(self.part)
        check_fit(self.part, network, remedy="Download it again: weights and configuration must belong together.")
        fill(network, self.part, device, dtype)
        return network


def open_network(files: ModelFiles, spec: PartSpec, shaped: Shaped, likely: Config) -> OneNetwork:
    """Reads the configuration and the headers of a network in a folder or a file.

    Args:
        files: a diffusers folder of this one network, or a file of weights.
        spec: the network.
        shaped: makes the configuration of a file.
        likely: a configuration with the number of blocks, which names of other layouts depend on.

    Raises:
        ModelError: a file is missing or damaged, or it is not such a network.
    """
    weights = shared_reader(files)(files.path)
    folder = files.path if files.path.is_dir() else files.path.parent
    described = (folder / CONFIG).is_file() and (files.path.is_dir() or _only_weights(folder))
    config = read_config(folder / CONFIG, spec.kinds) if described else likely
    part = next(find_parts(spec, config, files.path, weights), None)
    if part is None:
        raise ModelError(
            f"{files.path} is not a {spec.network.target.rpartition(':')[2]}.",
            why="None of its tensors has a name that belongs to one.",
            remedy="Download it again, or give another file.",
        )
    check_readable({spec.name: part})
    if described:
        return OneNetwork(part)
    return OneNetwork(_with_config(part, {**config, **shaped(own_headers(part))}))


def own_headers(part: Part) -> Headers:
    """The headers by the network's own names, for tensors that layouts do not split."""
    return {name: source.weights.tensors[source.key] for name, source in part.sources.items() if source.is_there}


def _with_config(part: Part, config: Mapping[str, Any]) -> Part:
    return Part(part.spec, config, part.origin, part.weights, part.prefix, part.layout)


def _only_weights(folder: Path) -> bool:
    return len([file for file in folder.iterdir() if file.suffix == ".safetensors"]) == 1
