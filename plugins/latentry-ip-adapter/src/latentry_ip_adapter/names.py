"""The names of an adapter's tensors in its file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """How a kind of adapter names its tensors.

    Attributes:
        image: how the projection of the picture begins.
        key: a layer's projection to keys, by ``layer``, which counts from 0, or ``number``, as Stable Diffusion's have
            it: among all attention layers of the UNet, the odd ones of which attend to the text.
        value: likewise to values.
        biased: whether these have biases.
        black: whether the negative prompt is shown a black picture, and not an embedding of zeros.
        first: what takes the image encoder's output.
    """

    image: str
    key: str
    value: str
    biased: bool = False
    black: bool = False
    first: str = "proj.weight"

    @property
    def projection(self) -> str:
        """The tensor that every adapter of this kind has, and that takes the image encoder's output."""
        return f"{self.image}{self.first}"

    def keys(self, layer: int) -> str:
        """The projection to keys of a layer, without ``.weight``."""
        return self.key.format(layer=layer, number=2 * layer + 1)

    def values(self, layer: int) -> str:
        """The projection to values of a layer, without ``.weight``."""
        return self.value.format(layer=layer, number=2 * layer + 1)


UNET = Layout("image_proj.", "ip_adapter.{number}.to_k_ip", "ip_adapter.{number}.to_v_ip")
FLUX = Layout(
    "ip_adapter_proj_model.",
    "double_blocks.{layer}.processor.ip_adapter_double_stream_k_proj",
    "double_blocks.{layer}.processor.ip_adapter_double_stream_v_proj",
    biased=True,
    black=True,
)
"""XLabs'."""
SD3 = Layout("image_proj.", "ip_adapter.{layer}.to_k_ip", "ip_adapter.{layer}.to_v_ip", first="proj_in.weight")
"""InstantX's; see ``timed.py`` for its projection."""
LAYOUTS = {"sd3": SD3, "plain": UNET, "flux": FLUX}
"""By variant; the first layer of one is the second of another, so that their order counts."""
