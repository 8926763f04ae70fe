"""The shape of the weight that an adapter's tensors make for a layer, from their shapes in the file's header."""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt, prod
from typing import NamedTuple

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
"""Shapes by slot; see ``recognise.adapter_keys``."""


class ShapeFault(ValueError):
    """Tensors of one layer that do not fit one another; the message names them by slot."""


class Made(NamedTuple):
    """What an adapter's tensors tell about the weight that it is for.

    Attributes:
        rows: its outputs.
        columns: its inputs, times height and width of a convolution's kernel.
        kernel: height and width of a convolution's kernel.
        rank: what alpha is divided by; None if no tensor tells.
        column_block: ``columns`` is a multiple of this (OFT with one rotation for all blocks).
    """

    rows: int | None = None
    columns: int | None = None
    kernel: Shape | None = None
    rank: int | None = None
    column_block: int = 1

    def fits(self, shape: Shape) -> bool:
        """Whether a weight (outputs, inputs, …) has that shape. A linear layer is also a 1×1 convolution."""
        kernel = shape[2:] or (1, 1)
        columns = prod(shape[1:])
        return (
            self.rows in (None, shape[0])
            and self.columns in (None, columns)
            and self.kernel in (None, kernel)
            and columns % self.column_block == 0
        )

    def __str__(self) -> str:
        rows = "any number of" if self.rows is None else str(self.rows)
        if self.columns is None:
            columns = f"a multiple of {self.column_block} inputs" if self.column_block > 1 else "any number of inputs"
        else:
            columns = f"{self.columns // prod(self.kernel or (1,))} inputs"
        kernel = "" if self.kernel in (None, (1, 1)) else f" and a kernel of {self.kernel[0]}×{self.kernel[1]}"
        return f"{rows} outputs, {columns}{kernel}"


def low_rank(shapes: Shapes) -> Made:
    """LoRA: ``down`` (rank, inputs, …), ``up`` (outputs, rank, …) and, for Tucker's, ``mid`` (rank, rank, …)."""
    down, up = shapes["down"], shapes["up"]
    if len(down) not in (2, 4) or len(up) not in (2, 4) or up[2:] not in ((), (1, 1)):
        raise ShapeFault(f"down has the shape {down} and up {up}, which are not the factors of a matrix")
    if down[0] == 0:
        raise ShapeFault(f"down has the shape {down}: its rank is 0, so it changes nothing")
    if "mid" in shapes:
        mid = shapes["mid"]
        if len(mid) != 4 or mid[:2] != (up[1], down[0]) or down[2:] not in ((), (1, 1)):
            raise ShapeFault(f"mid has the shape {mid}, which does not fit between up {up} and down {down}")
        return Made(up[0], down[1] * prod(mid[2:]), mid[2:], down[0])
    if up[1] != down[0]:
        raise ShapeFault(f"down has the rank {down[0]} and up the rank {up[1]}")
    return Made(up[0], prod(down[1:]), down[2:] or None, down[0])


def hadamard(shapes: Shapes) -> Made:
    """LoHa: two products of two matrices each, or two Tucker decompositions."""
    first, second = _pair(shapes, "hada_w1", "hada_t1"), _pair(shapes, "hada_w2", "hada_t2")
    if (first.rows, first.columns) != (second.rows, second.columns):
        sides = f"{first.rows}×{first.columns} and {second.rows}×{second.columns}"
        raise ShapeFault(f"the products of hada_w1 and of hada_w2 have the shapes {sides}")
    return first


def kronecker(shapes: Shapes) -> Made:
    """LoKr: ``w1`` (a, b) ⊗ ``w2`` (c, d, …), either of which may be a product."""
    first = _whole(shapes["lokr_w1"]) if "lokr_w1" in shapes else _pair(shapes, "lokr_w1", "lokr_t1")
    second = _whole(shapes["lokr_w2"]) if "lokr_w2" in shapes else _pair(shapes, "lokr_w2", "lokr_t2")
    assert first.rows is not None and first.columns is not None
    assert second.rows is not None and second.columns is not None
    rank = second.rank if second.rank is not None else first.rank
    return Made(first.rows * second.rows, first.columns * second.columns, second.kernel, rank)


def rotation(shapes: Shapes) -> Made:
    """OFT: ``oft_blocks`` (blocks, size, size) turn the outputs; ``oft_R`` (blocks, size·(size − 1)/2) the inputs.

    ``oft_r`` of old versions of PEFT turns the inputs where ``oft_s`` is beside it, and else the outputs.
    """
    if "oft_R" in shapes:
        if len(shapes["oft_R"]) != 2:
            raise ShapeFault(f"oft_R has the shape {shapes['oft_R']} instead of (blocks, entries of a triangle)")
        blocks, entries = shapes["oft_R"]
        size = block_size(entries)
        return Made(None, None if blocks == 1 else blocks * size, column_block=size)
    slot = "oft_blocks" if "oft_blocks" in shapes else "oft_r"
    shape = shapes[slot]
    if len(shape) != 3 or shape[1] != shape[2] or 0 in shape:
        raise ShapeFault(f"{slot} has the shape {shape} instead of (blocks, size, size)")
    if slot == "oft_r" and "oft_s" in shapes:
        return Made(prod(shapes["oft_s"]), None if shape[0] == 1 else shape[0] * shape[1], column_block=shape[1])
    rows = shape[0] * shape[1]
    if "rescale" in shapes and prod(shapes["rescale"]) != rows:
        raise ShapeFault(f"rescale has the shape {shapes['rescale']}, and oft_blocks are for {rows} outputs")
    return Made(rows)


def block_size(entries: int) -> int:
    """The side of a block of which a file keeps the entries above the diagonal, size·(size − 1)/2 of them."""
    size = (1 + isqrt(1 + 8 * entries)) // 2
    if size * (size - 1) // 2 != entries or entries == 0:
        raise ShapeFault(f"oft_R has {entries} entries for each block, which is not size·(size − 1)/2 for any size")
    return size


def difference(shapes: Shapes) -> Made:
    """A whole weight's difference, a bias's, or both."""
    if "diff" not in shapes:
        return Made(prod(shapes["diff_b"]))
    shape = shapes["diff"]
    if len(shape) not in (2, 4):
        raise ShapeFault(f"diff has the shape {shape}, which is not that of a linear layer or a convolution")
    return _whole(shape)


def _whole(shape: Shape) -> Made:
    if len(shape) not in (2, 4) or 0 in shape:
        raise ShapeFault(f"a matrix has the shape {shape}")
    return Made(shape[0], prod(shape[1:]), shape[2:] or None)


def _pair(shapes: Shapes, matrix: str, core: str) -> Made:
    """``a`` (rows, rank) times ``b`` (rank, columns); with a core, ``a`` (rank, rows) and ``b`` (rank, inputs)."""
    a, b = shapes[f"{matrix}_a"], shapes[f"{matrix}_b"]
    if len(a) != 2 or len(b) not in (2, 4) or 0 in (*a, *b):
        raise ShapeFault(f"{matrix}_a has the shape {a} and {matrix}_b {b}, which are not the factors of a matrix")
    if core in shapes:
        t = shapes[core]
        if len(t) != 4 or t[:2] != (a[0], b[0]) or len(b) != 2:
            raise ShapeFault(f"{core} has the shape {t}, which does not fit {matrix}_a {a} and {matrix}_b {b}")
        return Made(a[1], b[1] * prod(t[2:]), t[2:], b[0])
    if a[1] != b[0]:
        raise ShapeFault(f"{matrix}_a has the rank {a[1]} and {matrix}_b the rank {b[0]}")
    return Made(a[0], prod(b[1:]), b[2:] or None, b[0])
