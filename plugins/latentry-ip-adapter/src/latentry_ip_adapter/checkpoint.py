"""Recognises and opens IP-Adapters and their image encoders: first headers, weights on request."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentry import Detection, IncompatibleError, ModelError, ModelFiles
from latentry_diffusers.files.configs import read_json
from latentry_diffusers.files.headers import Headers, count, is_weights
from latentry_diffusers.files.read import shared_reader
from latentry_diffusers.files.weight_files import WeightFiles
from latentry_ip_adapter.names import LAYOUTS, Layout

if TYPE_CHECKING:
    import torch

    from latentry.conditioners import ConditionerCheckpoint
    from latentry_ip_adapter.adapter import Adapter

SURE, LABEL = 0.95, "an IP-Adapter"
OTHERS = {
    "image_proj.latents": "it has a perceiver, as Plus and full-face adapters do",
    "image_proj.proj.0.weight": "it has a projection for faces",
    "image_proj.perceiver_resampler.proj_in.weight": "it has a projection for faces",
    "image_proj.layers.0.0.to_q.weight": "it has a perceiver",
}
"""What only adapters have that are not supported."""
ENCODER = "image_encoder"


def detect(files: ModelFiles) -> Detection | None:
    """Whether the files are an IP-Adapter; None if nothing in them suggests it.

    Raises:
        ModelError: a file is damaged or unsafe.
    """
    if files.path.is_dir() or not is_weights(files.path) or not files.path.is_file():
        return None
    names = shared_reader(files)(files.path).tensors
    found = next((variant for variant, layout in LAYOUTS.items() if f"{layout.keys(0)}.weight" in names), None)
    if found is None:
        return None
    for sign, why in OTHERS.items():
        if sign in names:
            return Detection((), SURE, (why,), label=LABEL)
    sign = LAYOUTS[found].projection
    return Detection((found,), SURE, (f"it holds {sign}",), label=LABEL) if sign in names else None


def open_conditioner(files: ModelFiles, family: str, base: Any) -> ConditionerCheckpoint:
    """Reads the headers of an adapter, and finds its image encoder; see ``latentry.conditioners.OpenConditioner``.

    The encoder lies in a folder ``image_encoder`` beside the file, or beside the file's folder.

    Raises:
        ModelError: a file is missing or damaged.
        IncompatibleError: the adapter was made for another network or another encoder.
    """
    weights = shared_reader(files)(files.path)
    found = detect(files)
    variant = found.variants[0] if found is not None and found.variants else "plain"
    flux, headers, layout = family.endswith(":flux"), weights.tensors, LAYOUTS[variant]
    if flux != (variant == "flux"):
        raise _unfit(files.path, f"It is for {'FLUX.1' if variant == 'flux' else 'a UNet'}")
    layers = _layers(headers, layout)
    encoder = _encoder(files.path)
    config = read_json(encoder / "config.json") or {}
    text = base.bundle.config("transformer")["joint_attention_dim"] if flux else base.unet["cross_attention_dim"]
    claims = {
        "the width of its tokens": (headers[f"{layout.keys(0)}.weight"].shape[1], text),
        "how many layers it has": (layers, base.attention_blocks),
        "what it takes of the image encoder": (headers[layout.projection].shape[1], config.get("projection_dim")),
    }
    for what, (one, other) in claims.items():
        if one != other:
            raise _unfit(files.path, f"By the file {what} is {one}, and {other} is needed")
    return AdapterCheckpoint(weights, layers, encoder, layout)


def _unfit(path: Path, why: str) -> IncompatibleError:
    return IncompatibleError(
        f"{path} does not fit the model.",
        why=f"{why}.",
        remedy="Use an adapter, and an image encoder, that belong to this model.",
        field="controls",
    )


@dataclass(frozen=True)
class AdapterCheckpoint:
    """An IP-Adapter whose headers have been read.

    Attributes:
        weights: its file.
        layers: how many layers it has keys and values for.
        encoder: folder of the image encoder.
        layout: of the file.
    """

    weights: WeightFiles
    layers: int
    encoder: Path
    layout: Layout

    def load(self, device: torch.device, dtype: torch.dtype) -> Adapter:
        """Loads it; see ``latentry.conditioners.ConditionerCheckpoint``."""
        from latentry_ip_adapter.adapter import Adapter, Projections
        from latentry_ip_adapter.encoder import load_encoder

        made = Projections.like(self.weights, self.layers, self.layout).to(device, dtype).eval().requires_grad_(False)
        self.weights.close()
        return Adapter(made, load_encoder(self.encoder, device, dtype), black=self.layout.black)


def _layers(headers: Headers, layout: Layout) -> int:
    return count(headers, lambda layer: f"{layout.keys(layer)}.weight")


def _encoder(path: Path) -> Path:
    for place in (path.parent / ENCODER, path.parent.parent / ENCODER, path.parent.parent / "models" / ENCODER):
        if (place / "config.json").is_file():
            return place
    raise ModelError(
        f"The image encoder of {path} is missing.",
        why=f"There is no folder {ENCODER} with a config.json beside it.",
        remedy="Put transformers' CLIPVisionModelWithProjection there, as in the repository of the adapters.",
        field="controls",
    )
