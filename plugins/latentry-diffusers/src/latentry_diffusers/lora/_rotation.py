"""OFT: a weight's rows or columns turned by orthogonal matrices (Qiu et al. 2023, arXiv:2306.07280).

The matrix R is block-diagonal. Each block is the Cayley transform (I + Q)(I − Q)⁻¹ of a matrix Q = −Qᵀ, so that
RRᵀ = I whatever was trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

from latentry_diffusers.lora._factors import Slots
from latentry_diffusers.lora._reading._settings import PartSettings
from latentry_diffusers.lora._shapes import block_size


@dataclass(frozen=True)
class OutputRotation:
    """W becomes RᵀW, where the rows of W are the layer's outputs: LyCORIS, kohya, and PEFT before 0.14.

    Attributes:
        blocks: R's (blocks, size, size).
        rescale: what each output is multiplied by afterwards (outputs, 1), or None.
    """

    blocks: Tensor
    rescale: Tensor | None = None

    def turned(self, weight: Tensor) -> Tensor:
        """A weight (outputs, columns) with its rows turned."""
        count, size, _ = self.blocks.shape
        rows = weight.view(count, size, -1)
        turned = torch.einsum("knm,knc->kmc", self.blocks, rows).reshape(weight.shape)
        return turned if self.rescale is None else turned * self.rescale


@dataclass(frozen=True)
class InputRotation:
    """W becomes WRᵀ, where the columns of W are the layer's inputs: PEFT since 0.14.

    Attributes:
        blocks: R's (blocks, size, size); a single one serves all blocks.
        rescale: what each output is multiplied by afterwards (outputs, 1), or None.
    """

    blocks: Tensor
    rescale: Tensor | None = None

    def turned(self, weight: Tensor) -> Tensor:
        """A weight (outputs, columns) with its columns turned."""
        size = self.blocks.shape[-1]
        columns = weight.view(len(weight), -1, size)
        blocks = self.blocks.expand(columns.shape[1], -1, -1)
        turned = torch.einsum("okc,kdc->okd", columns, blocks).reshape(weight.shape)
        return turned if self.rescale is None else turned * self.rescale


Rotation = OutputRotation | InputRotation


def read_rotation(slots: Slots, alpha: float | None, settings: PartSettings) -> Rotation | None:
    """The rotation that a layer's tensors make; None if there is none among them.

    Args:
        slots: of shapes that fit (see ``_shapes``).
        alpha: LyCORIS' and kohya's bound on ‖Q‖ for each output; None or 0 for no bound.
        settings: PEFT's settings.
    """
    if "oft_blocks" in slots:
        q = slots["oft_blocks"] - slots["oft_blocks"].mT
        count, size, _ = q.shape
        rescale = slots.get("rescale")
        return OutputRotation(_cayley(_bounded(q, (alpha or 0.0) * count * size)), _column(rescale))
    if "oft_R" in slots:
        return InputRotation(_from_triangles(slots["oft_R"], settings))
    if "oft_r" in slots:
        return _old_peft(slots)
    return None


def _column(values: Tensor | None) -> Tensor | None:
    return None if values is None else values.reshape(-1, 1)


def _cayley(q: Tensor) -> Tensor:
    """(I + Q)(I − Q)⁻¹ of each block."""
    one = torch.eye(q.shape[-1], dtype=q.dtype)
    rotation: Tensor = torch.linalg.solve(one - q, one + q, left=False)
    return rotation


def _bounded(q: Tensor, bound: float) -> Tensor:
    """Q with the Frobenius norm of all blocks together at most ``bound``, where that is above 0."""
    norm = float(q.norm())
    return q * (bound / norm) if 0.0 < bound < norm else q


def _from_triangles(entries: Tensor, settings: PartSettings) -> Tensor:
    """PEFT's blocks, from the entries above the diagonal of Q.

    By default PEFT does not invert I − Q but sums the first terms of (I − Q)⁻¹ = I + Q + Q² + …, so that R is not quite
    orthogonal. Where it does invert, its Q has the opposite sign.
    """
    size = block_size(entries.shape[1])
    upper = torch.triu_indices(size, size, 1)
    q = entries.new_zeros(len(entries), size, size)
    q[:, upper[0], upper[1]] = entries
    q = q - q.mT
    if settings.coft:
        q = _within(q, settings.eps)
    return _neumann(q, settings.num_cayley_neumann_terms) if settings.use_cayley_neumann else _cayley(-q)


def _neumann(q: Tensor, terms: int) -> Tensor:
    """I + 2Q + 2Q² + … + Qⁿ with n = ``terms`` − 1, but, as in PEFT, at least 3 where there are three terms or more."""
    last = max(terms - 1, 3) if terms > 2 else terms - 1
    total, power = torch.eye(q.shape[-1], dtype=q.dtype).expand_as(q), q
    for exponent in range(1, last + 1):
        total = total + (1.0 if exponent == last > 1 else 2.0) * power
        power = power @ q
    return total


def _within(q: Tensor, eps: float) -> Tensor:
    """Each block with a Frobenius norm of at most eps / √blocks: constrained OFT."""
    norms = q.norm(dim=(1, 2), keepdim=True)
    factors: Tensor = (eps / sqrt(len(q)) / norms.clamp_min(torch.finfo(q.dtype).tiny)).clamp_max(1.0)
    return q * factors


def _old_peft(slots: Slots) -> Rotation:
    """Blocks as PEFT kept them before 0.16: Q is half of their antisymmetric part."""
    blocks = slots["oft_r"]
    rotation = _cayley((blocks.mT - blocks) / 2)
    return InputRotation(rotation, _column(slots["oft_s"])) if "oft_s" in slots else OutputRotation(rotation)
