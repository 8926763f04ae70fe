"""The numbers about the picture that the UNet takes, as it took them in training."""

from __future__ import annotations

from pydantic import Field

from latentry_diffusers.text.clip_skip import ClipConditioning

Pair = tuple[int, int]


class MicroConditioning(ClipConditioning):
    """Size, crop and score (arXiv:2307.01952, section 2.2); pairs are width and height, or left and top.

    A size that is None is the picture's own; on the negative side, None is the value of the positive side.
    """

    original_size: Pair | None = Field(default=None, description="size before scaling and cropping")
    crop: Pair = Field(
        default=(0, 0), description="pixels cut off at the left and at the top; 0 puts things in the middle"
    )
    target_size: Pair | None = Field(default=None, description="size after scaling and cropping")
    aesthetic_score: float = Field(default=6.0, description="rating of the picture from 0 to 10; for the refiner")
    negative_original_size: Pair | None = Field(default=None, description="original_size for the negative prompt")
    negative_crop: Pair | None = Field(default=None, description="crop for the negative prompt")
    negative_target_size: Pair | None = Field(default=None, description="target_size for the negative prompt")
    negative_aesthetic_score: float = Field(default=2.5, description="aesthetic_score for the negative prompt")

    def time_ids(self, size: Pair, count: int, *, negative: bool) -> tuple[float, ...]:
        """In the UNet's order: original height and width, crop top and left, then target height and width or score.

        Args:
            size: width and height of the picture in pixels.
            count: 6 with the target size, 5 with the aesthetic score in its place.
            negative: of the negative side.
        """
        original, crop, target = self.original_size or size, self.crop, self.target_size or size
        if negative:
            original = self.negative_original_size or original
            crop = crop if self.negative_crop is None else self.negative_crop
            target = self.negative_target_size or target
        score = self.negative_aesthetic_score if negative else self.aesthetic_score
        return (*original[::-1], *crop[::-1], *(target[::-1] if count == 6 else (score,)))


def options_read(count: int, *, negative: bool) -> frozenset[str]:
    """The options that a UNet with so many numbers reads, see ``MicroConditioning.time_ids``."""
    sizes = ("original_size", "crop", "target_size" if count == 6 else "aesthetic_score")
    # an option of the negative side that is left out has the value of the positive one
    return frozenset(("clip_skip", *sizes, *(f"negative_{name}" for name in sizes if negative)))
