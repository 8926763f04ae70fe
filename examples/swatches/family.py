"""What the family has to say about the network: encode the prompt, predict, build, configure."""

from collections.abc import Sequence

import torch
from torch import Tensor

from latentry import Flow, ModelFiles, Prediction
from latentry.models import BaseCheckpoint, BaseModel, Conditioning, NoiseSettings, PromptSettings, timestep_rows

from .network import WORDS, Network


class Model(BaseModel):
    """The network in memory."""

    rows_of_timesteps = True

    def encode_prompt(self, prompts: Sequence[str], settings: PromptSettings) -> Conditioning:
        """The number of the last word that is known, 0 where none is, as ``word`` (batch,)."""
        known = [[WORDS.index(word) + 1 for word in text.lower().split() if word in WORDS] for text in prompts]
        return Conditioning({"word": torch.tensor([[0, *found][-1] for found in known], device=self.device)})

    @torch.no_grad()
    def predict(
        self, x: Tensor, timestep: float | Tensor, conditioning: Conditioning, *, skip_layers: tuple[int, ...] = ()
    ) -> Tensor:
        """The velocity, at one timestep or at one for each row."""
        out: Tensor = self.denoiser(x, timestep_rows(timestep, x), conditioning["word"])
        return out


class Checkpoint(BaseCheckpoint):
    """The file of weights."""

    model = Model

    def build(self) -> dict[str, Network]:
        """The one network."""
        return {"denoiser": Network()}


def open_checkpoint(files: ModelFiles, variant: str) -> Checkpoint:
    """The configuration, which is the same for all."""
    return Checkpoint(files, variant, NoiseSettings(Flow(), Prediction.FLOW), size=16)
