"""The parts in which the network is shown a canvas that is too large for it or for memory."""

from __future__ import annotations

from latentry._contract._model import Checkpoint
from latentry._discovery import plugin_call
from latentry._errors import IncompatibleError, OptionError
from latentry._guidance._tiles import Tiles
from latentry._resolve._shown._canvas import Canvas
from latentry._specs import VariantSpec


def choose_tiles(
    checkpoint: Checkpoint,
    variant: VariantSpec,
    canvas: Canvas,
    *,
    tile: int | None,
    overlap: int | None,
    steered: bool,
) -> Tiles | None:
    """Tiles of a side, or of the canvas's where that is shorter; None where none are wanted, or one holds it all.

    Args:
        checkpoint: says which sizes its network can be shown.
        variant: what its network is for.
        canvas: what is drawn on.
        tile: their side in pixels.
        overlap: what neighbours share in pixels; a quarter of a tile where it is None.
        steered: whether other networks steer it by pictures.

    Raises:
        IncompatibleError: the network is shown other pictures, which cannot be cut.
        OptionError: the network cannot be shown a tile, or the overlap is not less than a tile.
    """
    width, height = canvas.size
    if tile is None or (width <= tile and height <= tile):
        return None
    filled = canvas.inputs.mask is not None and "inpainting" in variant.tasks
    if steered or filled or canvas.inputs.references:
        raise IncompatibleError(
            f"{variant.name} cannot denoise this picture in tiles.",
            why="Its network is shown another picture beside it, which is not cut as this one is.",
            remedy="Leave denoise_tile out, or controls, references and the mask.",
            field="denoise_tile",
        )
    shown = min(tile, width), min(tile, height)
    try:
        with plugin_call(checkpoint):
            _, *part = checkpoint.latent_shape(*shown)
    except OptionError as error:
        error.field = "denoise_tile"
        raise
    shared = tile // 4 if overlap is None else overlap
    if shared >= tile:  # a side that is not cut has no neighbours, however short it is
        raise OptionError(
            f"Tiles of {tile} pixels cannot share {shared} of them.",
            why="Neighbours would be at the same place.",
            remedy="Use a smaller overlap; a quarter of a tile is usual.",
            field="denoise_overlap",
        )
    _, *whole = canvas.latent_shape
    return Tiles(shown, (whole[0], whole[1]), (part[0], part[1]), shared * whole[0] // height)
