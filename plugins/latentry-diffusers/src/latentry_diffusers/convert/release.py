"""How the variants of a family were released: the names of their pipelines, parts and files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from latentry_diffusers.bundle.networks import Config, Pairs
from latentry_diffusers.bundle.open import Bundle
from latentry_diffusers.recognise.metadata import SAMPLE_SIZE, SCHEDULER


class Place(NamedTuple):
    """How single files hold a part.

    Attributes:
        layout: the layout of its tensors.
        prefix: how their names begin.
        apart: whether it is published as a separate file.
    """

    layout: Pairs
    prefix: str = ""
    apart: bool = False


@dataclass(frozen=True)
class Release:
    """How a variant was released.

    Attributes:
        pipeline: its class in diffusers.
        scheduler: keys of ``scheduler_config.json`` that a checkpoint may leave out.
        architecture: value of ``modelspec.architecture``.
        places: where single files hold its parts.
        settings: further keys of ``model_index.json``.
        without: components that the pipeline knows but does not need.
    """

    pipeline: str
    scheduler: Config
    architecture: str
    places: Mapping[str, Place]
    settings: Config = field(default_factory=dict)
    without: tuple[str, ...] = ("feature_extractor", "image_encoder")

    def metadata(self, bundle: Bundle) -> dict[str, str]:
        """Metadata for the file of the denoiser: what its source says, and what headers cannot tell.

        See the keys of https://github.com/Stability-AI/ModelSpec.
        """
        denoiser = next(part for part in bundle.parts.values() if part.spec.role is None)
        own, size = denoiser.weights.metadata, denoiser.config.get("sample_size")
        ours = ("modelspec.", "latentry.")
        kept = {key: value for key, value in own.items() if key.startswith(ours) and "hash" not in key}
        predicted = str(bundle.scheduler.get("prediction_type", ""))
        stated = {"modelspec.prediction_type": "v" if predicted == "v_prediction" else predicted} if predicted else {}
        spec = {"modelspec.sai_model_spec": "1.0.0", "modelspec.architecture": self.architecture}
        stated |= {SCHEDULER: json.dumps(bundle.scheduler, sort_keys=True)} if bundle.scheduler else {}
        stated |= {SAMPLE_SIZE: str(size)} if isinstance(size, int) else {}
        return {**spec, **kept, **stated, "format": "pt"}
