"""What Qwen-Image's text encoder is told around a prompt, as in training; github.com/QwenLM/Qwen-Image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from latentry_diffusers.text.language import Turns
from latentry_diffusers.text.seeing import PICTURE

DRAW = (
    "Describe the image by detailing the color, shape, size, texture, quantity, text, spatial relationships of the "
    "objects and background:"
)
EDIT = (
    "Describe the key features of the input image (color, shape, size, texture, objects, background), then explain how "
    "the user's text instruction should alter or modify the image. Generate a new image that meets the user's "
    "requirements while maintaining consistency with the original input where appropriate."
)
AFTER = "<|im_end|>\n<|im_start|>assistant\n"


class Instruction(NamedTuple):
    """What a variant's text encoder is told.

    Attributes:
        system: the task.
        before: how many tokens are before the user's turn, whose states the transformer is not given.
        picture: how a picture is called, by its number.
        side: of a picture as the text encoder sees it, as a share of that of the pictures in training.
    """

    system: str
    before: int
    picture: str = ""
    side: float = 1.0

    def turns(self, tokens: Sequence[int]) -> Turns:
        """What is around a prompt that comes with pictures of so many tokens."""
        named = (
            f"{self.picture.format(number)}<|vision_start|>{PICTURE * count}<|vision_end|>"
            for number, count in enumerate(tokens, start=1)
        )
        return Turns(f"<|im_start|>system\n{self.system}<|im_end|>\n<|im_start|>user\n{''.join(named)}", AFTER)


INSTRUCTIONS = {
    "image": Instruction(DRAW, 34),
    "edit": Instruction(EDIT, 64),
    "edit-plus": Instruction(EDIT, 64, "Picture {}: ", 384 / 1024),
}
"""By variant."""
