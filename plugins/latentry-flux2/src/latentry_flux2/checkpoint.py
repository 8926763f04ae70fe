"""Opens a FLUX.2 checkpoint: first configurations and headers, weights on request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from latentry import ModelFiles
from latentry.models import flow_settings
from latentry_diffusers.bundle.open import open_bundle
from latentry_diffusers.files.configs import check_agreement
from latentry_diffusers.model.checkpoint import TransformerCheckpoint
from latentry_diffusers.model.picture_size import check_size
from latentry_flux2.layout import PATCH
from latentry_flux2.parts import specs
from latentry_flux2.shift import shift_for
from latentry_flux2.variants import LAYERS, STEPS, published

if TYPE_CHECKING:
    import torch

    from latentry_flux2.model import Flux2


@dataclass(frozen=True)
class Flux2Checkpoint(TransformerCheckpoint):
    """A FLUX.2 checkpoint whose configurations and headers have been read."""

    @property
    def attention_blocks(self) -> int:
        """The double blocks; see ``latentry.models.ChangesAttention``."""
        return int(self.transformer["num_layers"])

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """The shape of the latents, which are tokens: 2 × 2 of the autoencoder's own side by side."""
        check_size(width, height, stride=self.patch, best=self.size)
        return (int(self.transformer["in_channels"]), height // self.patch, width // self.patch)

    def shift(self, width: int, height: int) -> float:
        """The time shift at the variant's own number of steps."""
        return self.shift_for(width, height, STEPS[self.variant])

    def shift_for(self, width: int, height: int, steps: int) -> float:
        """The time shift; see ``latentry.models.ShiftsBySteps``."""
        return shift_for(self.bundle.scheduler, self.tokens(width, height), steps)

    def load(self, device: torch.device, dtype: torch.dtype, dtypes: Mapping[str, torch.dtype] | None = None) -> Flux2:
        """Loads the networks; see ``latentry.models.Checkpoint``."""
        from latentry_diffusers.model.load_networks import load_networks
        from latentry_flux2.model import Flux2

        return Flux2(self, load_networks(self, device, dtype, dtypes))


def open_checkpoint(files: ModelFiles, variant: str) -> Flux2Checkpoint:
    """Reads the configurations and headers of a FLUX.2 checkpoint.

    Raises:
        ModelError: a part is missing or damaged, a configuration cannot be understood, or they do not belong together.
    """
    bundle = open_bundle(files, specs(variant), published(variant))
    checkpoint = Flux2Checkpoint(bundle, variant, flow_settings(bundle.scheduler))
    transformer, text = checkpoint.transformer, bundle.config("text_encoder")
    kind, layers = text["model_type"], text["num_hidden_layers"]
    wanted = "mistral" if variant == "dev" else "qwen3"
    claims: dict[str, tuple[object, str, object]] = {
        "the text encoder's model_type": (kind, f"what {variant} needs", wanted),
        "the transformer's in_channels": (
            transformer["in_channels"],
            "that of 2 × 2 latents of the autoencoder",
            PATCH**2 * checkpoint.vae["latent_channels"],
        ),
        "the transformer's joint_attention_dim": (
            transformer["joint_attention_dim"],
            "the width of the text encoder's hidden states that it reads",
            len(LAYERS[wanted]) * text["hidden_size"],
        ),
        "the transformer's guidance_embeds": (transformer["guidance_embeds"], f"{variant}'s", variant == "dev"),
    }
    most = max(LAYERS[wanted])
    if layers < most:
        claims["the text encoder's num_hidden_layers"] = (layers, "the least that the transformer reads", most)
    check_agreement(bundle.files.path, claims)
    return checkpoint
