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
from latentry_ip_adapter.names import LAYOUTS, SD3, Layout

if TYPE_CHECKING:
    import torch

    from latentry.conditioners import ConditionerCheckpoint
    from latentry_ip_adapter.adapter import Adapter
    from latentry_ip_adapter.timed import TimedAdapter

SURE, LABEL = 0.95, "an IP-Adapter"
OTHERS = {
    "image_proj.latents": "it has a perceiver, as Plus and full-face adapters do",
    "image_proj.proj.0.weight": "it has a projection for faces",
    "image_proj.perceiver_resampler.proj_in.weight": "it has a projection for faces",
}
"""What only adapters have that are not supported."""
ENCODER = "image_encoder"
TIMED = "ip_adapter.0.norm_ip.linear.weight"
"""What only adapters for Stable Diffusion 3 have: norms that depend on the noise level."""
MADE_FOR = {"plain": "a UNet", "flux": "FLUX.1", "sd3": "Stable Diffusion 3"}
"""By variant."""


def detect(files: ModelFiles) -> Detection | None:
    """Whether the files are an IP-Adapter; None if nothing in them suggests it.

    Raises:
        ModelError: a file is damaged or unsafe.
    """
    if files.path.is_dir() or not is_weights(files.path) or not files.path.is_file():
        return None
    names = shared_reader(files)(files.path).tensors
    if TIMED in names:
        return Detection(("sd3",), SURE, (f"it holds {TIMED}",), label=LABEL)
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
    headers, layout = weights.tensors, LAYOUTS[variant]
    if variant != {"flux": "flux", "sd3": "sd3"}.get(family.rpartition(":")[2], "plain"):
        raise _unfit(files.path, f"It is for {MADE_FOR[variant]}")
    layers = _layers(headers, layout)
    encoder = _encoder(files.path)
    config = read_json(encoder / "config.json") or {}
    seen = config.get("hidden_size" if variant == "sd3" else "projection_dim")
    claims = {
        "the width of its tokens": (headers[f"{layout.keys(0)}.weight"].shape[1], _width(variant, base)),
        "how many layers it has": (layers, base.attention_blocks),
        "what it takes from the image encoder": (headers[layout.projection].shape[1], seen),
    }
    for what, (one, other) in claims.items():
        if one != other:
            raise _unfit(files.path, f"By the file {what} is {one}, and {other} is needed")
    return AdapterCheckpoint(weights, layers, encoder, layout)


def _width(variant: str, base: Any) -> int:
    """Of what the model's layers attend to, as an adapter's tokens are."""
    if variant == "plain":
        return int(base.unet["cross_attention_dim"])
    config = base.bundle.config("transformer")
    if variant == "flux":
        return int(config["joint_attention_dim"])
    return int(config["attention_head_dim"] * config["num_attention_heads"])


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

    def load(self, device: torch.device, dtype: torch.dtype) -> Adapter | TimedAdapter:
        """Loads it; see ``latentry.conditioners.ConditionerCheckpoint``."""
        if self.layout is SD3:
            return self._timed(device, dtype)
        from latentry_ip_adapter.adapter import Adapter, Projections
        from latentry_ip_adapter.encoder import load_encoder

        made = Projections.like(self.weights, self.layers, self.layout).to(device, dtype).eval().requires_grad_(False)
        self.weights.close()
        return Adapter(made, load_encoder(self.encoder, device, dtype), black=self.layout.black)

    def _timed(self, device: torch.device, dtype: torch.dtype) -> TimedAdapter:
        from latentry_ip_adapter.encoder import load_encoder
        from latentry_ip_adapter.timed import TimedAdapter, load_networks

        networks = load_networks(self.weights)
        self.weights.close()
        for network in networks:
            network.to(device, dtype).eval().requires_grad_(False)
        return TimedAdapter(*networks, load_encoder(self.encoder, device, dtype, siglip=True))


def _layers(headers: Headers, layout: Layout) -> int:
    return count(headers, lambda layer: f"{layout.keys(layer)}.weight")


def _encoder(path: Path) -> Path:
    for place in (path.parent / ENCODER, path.parent.parent / ENCODER, path.parent.parent / "models" / ENCODER):
        if (place / "config.json").is_file():
            return place
    raise ModelError(
        f"The image encoder of {path} is missing.",
        why=f"There is no folder {ENCODER} with a config.json beside it.",
        remedy="Put transformers' CLIPVisionModelWithProjection there, and for SD3 its SiglipVisionModel, as the "
        "repository of the adapters has it.",
        field="controls",
    )
