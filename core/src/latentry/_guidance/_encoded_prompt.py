"""A prompt as a network is told it, which may be other words at other steps."""

from __future__ import annotations

from dataclasses import dataclass

from latentry._contract._conditioning import Conditioning


@dataclass(frozen=True, eq=False)
class EncodedPrompt:
    """One prompt, encoded.

    Attributes:
        texts: the conditioning of each of its texts, with batch size 1.
        steps: for each step of the run which of them it is; the last one counts for all that follow.
    """

    texts: tuple[Conditioning, ...]
    steps: tuple[int, ...] = (0,)

    def which(self, index: int) -> int:
        """Which text it is at a step."""
        return self.steps[min(index, len(self.steps) - 1)]

    def at(self, index: int) -> Conditioning:
        """What the network is told at a step."""
        return self.texts[self.which(index)]
