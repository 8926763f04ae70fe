"""What a network takes besides the sample and the timestep."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from warnings import warn

import torch
from torch import Tensor

from latentry._contract._prompts._embedding import Embedding
from latentry._contract._prompts._reference import Reference


@dataclass(frozen=True)
class PromptSettings:
    """What an encoded prompt depends on besides its text.

    Attributes:
        width: of the picture in pixels.
        height: of the picture in pixels.
        negative: the text is the negative prompt.
        guidance: the guidance scale, for networks that take it as an input; None for all others.
        own: an object of the family's ``conditioning`` class; None where it has none, or for its defaults.
        references: pictures that the network is shown beside the prompt, as many as the variant takes.
        embeddings: learnt words, which only a checkpoint that ``TakesEmbeddings`` is given.
    """

    width: int
    height: int
    negative: bool = False
    guidance: float | None = field(default=None, kw_only=True)
    own: Hashable = field(default=None, kw_only=True)
    references: tuple[Reference, ...] = field(default=(), kw_only=True)
    embeddings: tuple[Embedding, ...] = field(default=(), kw_only=True)

    @property
    def clip_skip(self) -> int:
        """Deprecated: an option of the families that have CLIP; read it from ``own``."""
        message = "PromptSettings.clip_skip is now an option of the family: use settings.own. It goes in latentry 2.0"
        warn(message, DeprecationWarning, 2)
        return int(getattr(self.own, "clip_skip", 0))


SCALE = "guidance"


@dataclass(frozen=True)
class Conditioning:
    """Named tensors whose first dimension is the batch; the names are the family's own.

    The names ``mask`` (batch, 1, h, w) and ``masked`` (batch, c, h, w) are reserved for ``Model.inpainting``, and
    ``guidance`` (batch,) is the guidance scale of networks that take it as an input: where it changes over a run, the
    engine puts another one in its place.
    """

    tensors: Mapping[str, Tensor]

    @property
    def shapes(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Each tensor's shape without its batch dimension; batches with equal shapes can be joined.

        What a network must be told for all rows at once, such as where the tokens of references are, has to be seen
        here: ``torch.empty(batch, 0, rows, columns)`` keeps batches apart whose rows and columns differ.
        """
        return tuple((name, tuple(tensor.shape[1:])) for name, tensor in sorted(self.tensors.items()))

    @classmethod
    def stacked(cls, batches: Sequence[Conditioning]) -> Conditioning:
        """Joins batches with equal ``shapes``, in their order."""
        return cls({name: torch.cat([batch.tensors[name] for batch in batches]) for name in batches[0].tensors})

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def __contains__(self, name: object) -> bool:
        return name in self.tensors
