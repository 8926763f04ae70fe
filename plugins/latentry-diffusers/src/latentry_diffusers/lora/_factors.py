"""The matrices that adapters add to weights, kept as factors as in the files and multiplied out when needed.

All matrices are (outputs, columns): a convolution's inputs, height and width make its columns. All values are float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

Slots = Mapping[str, Tensor]
"""A layer's tensors by slot; see ``recognise.adapter_keys``."""


class Factors(Protocol):
    """A matrix that is added to a weight."""

    def matrix(self) -> Tensor:
        """The matrix (outputs, columns)."""
        ...

    def rows(self, index: Tensor) -> Factors:
        """The factors of some rows, in this order."""
        ...

    def prepared(self) -> Factors:
        """The same with what is small multiplied out; ``matrix`` gives the same bits."""
        ...


@dataclass(frozen=True)
class LowRank:
    """LoRA: up · down (Hu et al. 2021, arXiv:2106.09685, eq. 3).

    Attributes:
        up: (outputs, rank).
        down: (rank, inputs), of a convolution (rank, inputs, height, width).
    """

    up: Tensor
    down: Tensor

    def matrix(self) -> Tensor:
        """The product."""
        return self.up @ self.down.flatten(1)

    def rows(self, index: Tensor) -> LowRank:
        """Takes the rows of ``up``."""
        return replace(self, up=self.up[index])

    def prepared(self) -> LowRank:
        """Its product is as large as the weight."""
        return self


@dataclass(frozen=True)
class Tucker:
    """LoRA of a convolution in Tucker's decomposition (LyCORIS, Yeh et al. 2023, arXiv:2309.14859).

    ΔW[o, i, y, x] = Σ_pq up[o, p] · mid[p, q, y, x] · down[q, i].
    """

    up: Tensor
    mid: Tensor
    down: Tensor

    def matrix(self) -> Tensor:
        """The product."""
        return torch.einsum("op,pqyx,qi->oiyx", self.up, self.mid, self.down).flatten(1)

    def rows(self, index: Tensor) -> Tucker:
        """Takes the rows of ``up``."""
        return replace(self, up=self.up[index])

    def prepared(self) -> Tucker:
        """Its product is as large as the weight."""
        return self


@dataclass(frozen=True)
class Hadamard:
    """LoHa: the entries of two matrices multiplied, (B₁A₁) ⊙ (B₂A₂) (LyCORIS, arXiv:2309.14859).

    The rank of the result is up to the product of both ranks (Hyeon-Woo et al. 2022, arXiv:2108.06098).
    """

    first: LowRank | Tucker
    second: LowRank | Tucker

    def matrix(self) -> Tensor:
        """The product."""
        return self.first.matrix() * self.second.matrix()

    def rows(self, index: Tensor) -> Hadamard:
        """Takes the rows of both matrices."""
        return Hadamard(self.first.rows(index), self.second.rows(index))

    def prepared(self) -> Hadamard:
        """Both products are as large as the weight."""
        return self


@dataclass(frozen=True)
class Kronecker:
    """LoKr: the Kronecker product C ⊗ D, of which D may itself be a product BA (LyCORIS, arXiv:2309.14859).

    Attributes:
        first: C (a, b).
        second: D (c, d), with the columns of a convolution; the result is (a·c, b·d).
        index: the rows that are kept; None for all.
    """

    first: Tensor
    second: LowRank | Tucker | Full
    index: Tensor | None = None

    def matrix(self) -> Tensor:
        """The product."""
        product = torch.kron(self.first, self.second.matrix())
        return product if self.index is None else product[self.index]

    def rows(self, index: Tensor) -> Kronecker:
        """Takes the rows of the product; each mixes rows of both factors."""
        return replace(self, index=index if self.index is None else self.index[index])

    def prepared(self) -> Kronecker:
        """Multiplies D out."""
        return replace(self, second=Full(self.second.matrix()))


@dataclass(frozen=True)
class Full:
    """A matrix that is stored whole."""

    values: Tensor

    def matrix(self) -> Tensor:
        """The matrix itself."""
        return self.values

    def rows(self, index: Tensor) -> Full:
        """Takes the rows of the matrix."""
        return Full(self.values[index])

    def prepared(self) -> Full:
        """It is whole already."""
        return self


def read_factors(slots: Slots) -> Factors | None:
    """The matrix that a layer's tensors make; None if there is none among them.

    Args:
        slots: complete and of shapes that fit (see ``_shapes``).
    """
    if "down" in slots:
        return _low_rank(slots)
    if "hada_w1_a" in slots:
        return Hadamard(_pair(slots, "hada_w1", "hada_t1"), _pair(slots, "hada_w2", "hada_t2"))
    if "lokr_w1" in slots or "lokr_w1_a" in slots:
        first = slots["lokr_w1"] if "lokr_w1" in slots else _pair(slots, "lokr_w1", "lokr_t1").matrix()
        whole = slots.get("lokr_w2")
        second = _pair(slots, "lokr_w2", "lokr_t2") if whole is None else Full(whole.flatten(1))
        return Kronecker(first.flatten(1), second)
    return Full(slots["diff"].flatten(1)) if "diff" in slots else None


def _low_rank(slots: Slots) -> LowRank | Tucker:
    up, down = slots["up"].flatten(1), slots["down"]
    return Tucker(up, slots["mid"], down.flatten(1)) if "mid" in slots else LowRank(up, down)


def _pair(slots: Slots, matrix: str, core: str) -> LowRank | Tucker:
    """``a`` · ``b``; with a core the first is stored transposed, (rank, outputs)."""
    a, b = slots[f"{matrix}_a"], slots[f"{matrix}_b"].flatten(1)
    return Tucker(a.T, slots[core], b) if core in slots else LowRank(a, b)
