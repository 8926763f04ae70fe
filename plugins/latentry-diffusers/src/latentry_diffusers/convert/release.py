"""How the variants of a family were released: what their pipelines, parts and files are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from latentry_diffusers.bundle.networks import Config, Pairs
from latentry_diffusers.bundle.open import Bundle


class Place(NamedTuple):
    """Where a part lies beside a folder in diffusers' layout.

    Attributes:
        layout: of its tensors.
        prefix: what their names begin with.
        apart: it is published as a file of its own.
    """

    layout: Pairs
    prefix: str = ""
    apart: bool = False


@dataclass(frozen=True)
class Release:
    """How a variant was released.

    Attributes:
        pipeline: its class in diffusers.
        scheduler: what ``scheduler_config.json`` says where the checkpoint does not.
        architecture: of ``modelspec.architecture``.
        places: of its parts in single files.
        settings: further keys of ``model_index.json``.
        without: components that the pipeline knows and can do without.
    """

    pipeline: str
    scheduler: Config
    architecture: str
    places: Mapping[str, Place]
    settings: Config = field(default_factory=dict)
    without: tuple[str, ...] = ("feature_extractor", "image_encoder")

    def metadata(self, bundle: Bundle) -> dict[str, str]:
        """What the file of the network that draws says of itself: as its source does, and what headers cannot tell.

        See the keys of https://github.com/Stability-AI/ModelSpec.
        """
        own = next(part for part in bundle.parts.values() if part.spec.role is None).weights.metadata
        kept = {key: value for key, value in own.items() if key.startswith("modelspec.") and "hash" not in key}
        predicted = str(bundle.scheduler.get("prediction_type", ""))
        said = {"modelspec.prediction_type": "v" if predicted == "v_prediction" else predicted} if predicted else {}
        spec = {"modelspec.sai_model_spec": "1.0.0", "modelspec.architecture": self.architecture}
        return {**spec, **kept, **said, "format": "pt"}
