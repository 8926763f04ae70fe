"""What went through the networks of one side, and where two sides part.

Both sides are listened to as they call their networks: token ids, what the denoiser is told, its samples and times step
by step, and what the autoencoder is given and gives. The sample of each call is the latents after the step before, and
the last ones go to the autoencoder.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

LATENTS = 1e-3
TOLERANCES = {"ids": 0.0, "told": 1e-5, "times": 1e-6, "initial latents": 1e-5, "pixels": 2e-3}


@dataclass
class Overheard:
    """One side.

    Attributes:
        ids: given to each text encoder in all of its calls, by its name.
        told: of the denoiser's first call, by name.
        times: of each call at a new time.
        inputs: samples of those calls, of the last pictures of the batch, which are the conditioned ones.
        latents: given to the autoencoder, in units of about one standard deviation.
        pixels: that it gave, in −1..1.
        skipped: layers that were left out, of each call that left any out.
    """

    ids: dict[str, list[Tensor]] = field(default_factory=dict)
    told: dict[str, Tensor] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)
    inputs: list[Tensor] = field(default_factory=list)
    latents: list[Tensor] = field(default_factory=list)
    pixels: list[Tensor] = field(default_factory=list)
    skipped: list[tuple[int, ...]] = field(default_factory=list)

    def stages(self) -> Iterator[tuple[str, Tensor]]:
        """In the order of the pipeline; how prompts are put into batches makes no difference."""
        for name in sorted(self.ids):
            yield f"ids of {name}", torch.cat(self.ids[name]).unique(dim=0).double()
        yield from ((f"told {name}", self.told[name].double()) for name in sorted(self.told))
        yield "times", torch.tensor(self.times, dtype=torch.float64) / self.times[0]
        for step, sample in enumerate(self.inputs):
            yield (f"latents after {step} steps" if step else "initial latents"), sample
        yield from ((f"latents after {len(self.inputs)} steps", latents) for latents in self.latents)
        yield from (("pixels", pixels) for pixels in self.pixels)


def parting(mine: Overheard, peer: Overheard) -> str:
    """The first stage at which two sides part, and by how much; empty where they never do."""
    for (stage, a), (named, b) in zip(mine.stages(), peer.stages(), strict=True):
        if stage != named or a.shape != b.shape:
            return f"{stage} {tuple(a.shape)} against {named} {tuple(b.shape)}"
        apart = float((a - b).abs().max())
        if not apart <= next((bound for start, bound in TOLERANCES.items() if stage.startswith(start)), LATENTS):
            return f"{stage}: {apart:.2e}"
    return ""
