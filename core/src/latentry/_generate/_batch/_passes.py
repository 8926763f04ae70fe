"""One batch in one pass, or in two: drawn, enlarged, and drawn on again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from PIL import Image, ImageOps
from torch import Tensor
from torch.nn.functional import interpolate

from latentry._contract._inference import inference, normal
from latentry._contract._model import Model
from latentry._contract._progress import BatchProgress
from latentry._discovery import plugin_call
from latentry._generate._batch._finite import all_finite
from latentry._generate._batch._images import to_pictures, to_pixels
from latentry._generate._batch._loop import Begun, Halted, Sampled, Sampling
from latentry._generate._batch._paste import paste_kept
from latentry._resolve._setup import Setup


@dataclass(frozen=True)
class Passes:
    """The passes of a request's batches.

    Attributes:
        first: from noise, or from the request's picture.
        second: at the larger size, where there is one; its start has no picture yet.
    """

    first: Sampling
    second: Sampling | None = None

    def __call__(
        self,
        pictures: Sequence[int],
        progress: BatchProgress,
        begun: Begun | None,
        enlarge: Callable[[Sampled], Tensor],
    ) -> Sampled:
        """Samples one batch; see ``Sampling``.

        Args:
            pictures: indices of pictures of the request.
            progress: called at every step.
            begun: where the batch was left, if it was.
            enlarge: makes the latents that the second pass begins from.
        """
        if self.second is None:
            return self.first(pictures, progress, begun)
        second, before, made_up, steps = self.second, 0, 0, len(self.first.setup.plan)
        if begun is None or not begun.larger:
            sampled = self.first(pictures, progress, begun)
            progress("encode", steps, "Enlarging the picture")
            second = replace(second, start=replace(second.start, clean=enlarge(sampled)))
            before, made_up, begun = sampled.evaluations, sampled.made_up, None
        try:
            drawn = second(pictures, progress.later(steps), begun)
        except Halted as halted:
            left = halted.begun
            counted = left._replace(evaluations=left.evaluations + before, made_up=left.made_up + made_up)
            raise Halted(counted._replace(larger=True)) from None
        return drawn._replace(evaluations=drawn.evaluations + before, made_up=drawn.made_up + made_up)


def enlarged(model: Model, setup: Setup, sampled: Sampled) -> Tensor | None:
    """The latents of a batch at the size of its second pass, (batch, c, h, w).

    Latents are interpolated bicubically, pictures by Lanczos between decoding and encoding, with what a mask keeps put
    back before and after.

    Returns:
        None where the autoencoder gave values that are not finite.
    """
    assert setup.larger is not None
    if setup.request.upscale_mode == "latent":
        return interpolate(sampled.latents, setup.larger.latent_shape[1:], mode="bicubic")
    with plugin_call(model), inference():
        pixels = model.decode(sampled.latents)
    if not all_finite((pixels,)):
        return None
    size = setup.larger.size
    small = paste_kept(to_pictures(pixels), setup.inputs, setup.request.mask_feather)
    fitted = [ImageOps.fit(picture, size, Image.Resampling.LANCZOS) for picture in small]
    shown = to_pixels(paste_kept(fitted, setup.larger.inputs, 0)).to(setup.device)
    with plugin_call(model), inference():
        latents = model.encode(shown)
    return normal(latents) if all_finite((latents,)) else None
