"""UNets overheard; what is heard and compared is that of ``support.stages``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from support.stages import Overheard


@contextmanager
def overhearing_unets(unets: Sequence[Any], vae: Any, pictures: int) -> Iterator[Overheard]:
    """Listens to UNets, told apart by their place among them, and to an autoencoder, until the end of the ``with``.

    A UNet that takes more channels than there are latents is told the others.
    """
    heard, decode = Overheard(), vae.decode

    def decoding(raw: Tensor, **options: Any) -> Any:
        out = decode(raw, **options)
        heard.latents.append(raw * vae.config.scaling_factor)
        heard.pixels.append(out[0])
        return out

    with ExitStack() as stack:
        for place, unet in enumerate(unets):
            listener = _UNet(heard, place, pictures, vae.config.latent_channels)
            stack.callback(unet.register_forward_pre_hook(listener, with_kwargs=True).remove)
        vae.decode = decoding
        stack.callback(delattr, vae, "decode")
        yield heard


@dataclass
class _UNet:
    heard: Overheard
    place: int
    pictures: int
    channels: int

    def __call__(self, module: Any, given: Sequence[Any], options: Mapping[str, Any]) -> None:
        sample, time = given[:2]
        told = {"text": options["encoder_hidden_states"], **(options.get("added_cond_kwargs") or {})}
        if sample.shape[1] > self.channels:
            told["shown"] = sample[:, self.channels :].clone()
        for name, tensor in told.items():
            self.heard.told.setdefault(f"{name} of UNet {self.place}", tensor)
        self.heard.times.append(float(time.flatten()[0] if isinstance(time, Tensor) else time))
        self.heard.inputs.append(sample[-self.pictures :, : self.channels].clone())
