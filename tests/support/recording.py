"""What went through the networks of one side, and where two sides first differ.

The sample of each call of the denoiser is the latents after the step before (diffusers' Euler keeps x/α and scales it
back), and the last ones go to the autoencoder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

EXACT, GIVEN, INITIAL, LATENTS, PIXELS = 0.0, 1e-5, 1e-5, 1e-3, 2e-3
TIMES = 2.0**-22
"""Of times that are not whole, as a share of the largest: diffusers keeps them in float32."""


@dataclass
class Recording:
    """What went through the networks of one side.

    Attributes:
        ids: tokens of each call of each text encoder, by its part.
        conditioning: what a denoiser is given besides sample and time at its first call, and ``shown``, the channels
            after those of the sample; a refiner's names say so.
        times: of each call.
        inputs: samples of those calls with their further channels, of the last pictures of the batch, which are the
            conditioned ones.
        skipped: layers left out in further calls, which are recorded no further.
        latents: given to the autoencoder, of about unit variance.
        pixels: that it gave, in −1..1.
    """

    ids: dict[str, list[Tensor]] = field(default_factory=dict)
    conditioning: dict[str, Tensor] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)
    inputs: list[Tensor] = field(default_factory=list)
    skipped: list[tuple[int, ...]] = field(default_factory=list)
    latents: list[Tensor] = field(default_factory=list)
    pixels: list[Tensor] = field(default_factory=list)

    def stages(self) -> Iterator[tuple[str, Tensor, float]]:
        """Names, values and tolerances in the order of a pipeline."""
        for part, calls in sorted(self.ids.items()):
            yield f"ids of {part}", _distinct(calls), EXACT
        for name, tensor in sorted(self.conditioning.items()):
            yield f"given {name}", tensor, GIVEN
        times = torch.tensor(self.times, dtype=torch.float64)
        yield "times", times, EXACT if torch.equal(times, times.round()) else TIMES * float(times.abs().max())
        for step, sample in enumerate(self.inputs):
            yield (f"latents after {step} steps", sample, LATENTS) if step else ("initial latents", sample, INITIAL)
        yield from ((f"latents after {len(self.inputs)} steps", latents, LATENTS) for latents in self.latents)
        yield from (("pixels", pixels, PIXELS) for pixels in self.pixels)


def _distinct(calls: Sequence[Tensor]) -> Tensor:
    """Each prompt once: one side encodes them together, the other one by one and none twice."""
    rows = dict.fromkeys(tuple(row.tolist()) for call in calls for row in call)
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=-1)


def first_difference(mine: Recording, peer: Recording) -> str:
    """The first stage at which two sides differ, and by how much; empty where they never do."""
    for (stage, a, tolerance), (named, b, _) in zip(mine.stages(), peer.stages(), strict=True):
        if stage != named or a.shape != b.shape:
            return f"{stage} {tuple(a.shape)} against {named} {tuple(b.shape)}"
        apart = float((a.double() - b.double()).abs().max())
        if not apart <= tolerance:
            return f"{stage}: {apart:.2e}"
    return ""
