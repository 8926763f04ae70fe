"""Two pipelines compared stage by stage, overheard at the same places: what goes into text encoders, network and
autoencoder.

The network's input is the sample on both sides (diffusers' Euler keeps x/α and scales it back), so the latents after
each step are the next input, and the last ones go to the autoencoder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from PIL import Image
from torch import Tensor

from latentry import Engine, GenerationRequest, PluginHost

EXACT, STATES, INITIAL, LATENTS, PIXELS = 0.0, 1e-5, 1e-5, 1e-3, 2e-3
TIMES = 1e-4


@dataclass
class Overheard:
    """What went through the networks of one side.

    Attributes:
        ids: tokens of each call of each text encoder, by its place among them.
        told: what the network is given beside sample and time, at its first call.
        times: of each call of the network.
        inputs: samples of the conditioned half, with what they are shown beside by channel.
        skipped: layers left out in further calls, which are heard no further.
        latents: given to the autoencoder.
        pixels: that it gave, in −1..1.
    """

    ids: dict[int, list[Tensor]] = field(default_factory=dict)
    told: dict[str, Tensor] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)
    inputs: list[Tensor] = field(default_factory=list)
    skipped: list[tuple[int, ...]] = field(default_factory=list)
    latents: list[Tensor] = field(default_factory=list)
    pixels: list[Tensor] = field(default_factory=list)

    def stages(self) -> Iterator[tuple[str, Tensor, float]]:
        """Names, values and tolerances in the order of a pipeline."""
        for place, calls in sorted(self.ids.items()):
            yield f"ids of text encoder {place}", _distinct(calls), EXACT
        for name, tensor in sorted(self.told.items()):
            yield f"told {name}", tensor, STATES
        yield "times", torch.tensor(self.times, dtype=torch.float64), TIMES
        for step, sample in enumerate(self.inputs):
            yield (f"latents after {step} steps", sample, LATENTS) if step else ("initial latents", sample, INITIAL)
        yield from ((f"latents after {len(self.inputs)} steps", latents, LATENTS) for latents in self.latents)
        yield from (("pixels", pixels, PIXELS) for pixels in self.pixels)


def _distinct(calls: Sequence[Tensor]) -> Tensor:
    """Each prompt once: one side encodes them together, the other one by one and none twice."""
    return torch.tensor(list(dict.fromkeys(tuple(row.tolist()) for call in calls for row in call)))


def parting(mine: Overheard, peer: Overheard) -> str:
    """The first stage at which two sides part, and by how much; empty where they never do."""
    for (stage, a, tolerance), (named, b, _) in zip(mine.stages(), peer.stages(), strict=True):
        if stage != named or a.shape != b.shape:
            return f"{stage} {tuple(a.shape)} against {named} {tuple(b.shape)}"
        apart = float((a.double() - b.double()).abs().max())
        if not apart <= tolerance:
            return f"{stage}: {apart:.2e}"
    return ""


@contextmanager
def overhearing(side: Any, pictures: int) -> Iterator[Overheard]:
    """Listens to a pipeline of diffusers, or to a model of ours, until the end of the ``with``."""
    heard, decode, config = Overheard(), side.vae.decode, side.vae.config

    def network(module: Any, given: Sequence[Any], options: Mapping[str, Any]) -> None:
        if options.get("skip_layers"):
            heard.skipped.append(tuple(options["skip_layers"]))
            return
        sample = given[0] if given else options["hidden_states"]
        time = given[1] if len(given) > 1 else options["timestep"]
        for name, value in options.items():
            if isinstance(value, Tensor) and name not in ("hidden_states", "timestep"):
                heard.told.setdefault(name, value)
        heard.times.append(float(torch.as_tensor(time).flatten()[0]))
        heard.inputs.append(sample[-pictures:].clone())

    def decoding(raw: Tensor, **options: Any) -> Any:
        out = decode(raw, **options)
        heard.latents.append((raw - (getattr(config, "shift_factor", None) or 0.0)) * config.scaling_factor)
        heard.pixels.append(out[0])
        return out

    with ExitStack() as stack:
        for place, encoder in enumerate(_text_encoders(side)):
            stack.callback(encoder.register_forward_pre_hook(_ids(heard, place), with_kwargs=True).remove)
        main = side.unet if hasattr(side, "unet") else side.transformer
        stack.callback(main.register_forward_pre_hook(network, with_kwargs=True).remove)
        side.vae.decode = decoding
        stack.callback(delattr, side.vae, "decode")
        yield heard


def _ids(heard: Overheard, place: int) -> Any:
    def text(module: Any, given: Sequence[Any], options: Mapping[str, Any]) -> None:
        heard.ids.setdefault(place, []).append(given[0] if given else options["input_ids"])

    return text


def _text_encoders(side: Any) -> list[Any]:
    """In their order; ours keeps them beside their tokenizers."""
    parts = side.components.values() if hasattr(side, "components") else _flat(vars(side).values())
    return [part for part in parts if type(part).__name__.startswith(("CLIPTextModel", "T5EncoderModel"))]


def _flat(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        yield from _flat(value) if isinstance(value, tuple) else (value,)


def theirs(kind: Any, folder: Path, prompts: Sequence[str], *, scheduler: Any = None, **options: Any) -> Overheard:
    """diffusers' side: one of its pipelines over a folder, with the folder's own scheduler or one of another kind."""
    pipeline = kind.from_pretrained(folder, local_files_only=True, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    if scheduler is not None:
        pipeline.scheduler = scheduler.from_config(pipeline.scheduler.config)
    with overhearing(pipeline, len(prompts)) as heard:
        pipeline(list(prompts), output_type="pt", **options)
    return heard


def ours(
    folder: Path,
    prompts: Sequence[str],
    latents: Tensor,
    *,
    init_image: Image.Image | None = None,
    mask: Image.Image | None = None,
    **settings: Any,
) -> Overheard:
    """Latentry's side, with what its plugins prefer wherever the settings leave it open."""
    request = GenerationRequest(prompt=tuple(prompts), model=str(folder), dtype="float32", **settings)
    engine = Engine(PluginHost())
    model = engine.load(engine.prepare(request, init_image=init_image, mask=mask))
    with overhearing(model, len(prompts)) as heard:
        engine.generate(request, init_image=init_image, mask=mask, latents=latents)
    return heard


def modes() -> AbstractContextManager[Any]:
    """diffusers takes the mode of an autoencoder's posterior, as we do, where it would draw a sample."""
    return patch.object(DiagonalGaussianDistribution, "sample", lambda self, generator=None: self.mode())


def drawing() -> tuple[Image.Image, Image.Image]:
    """A picture of 64 × 64 pixels, squares of many colours, and a mask: a disc with a soft edge, off the middle."""
    squares = np.random.default_rng(2).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    y, x = np.mgrid[:64, :64]
    disc = np.clip(255 * (24 - np.hypot(x - 27, y - 36)) / 8, 0, 255).astype(np.uint8)
    return Image.fromarray(squares).resize((64, 64), Image.Resampling.NEAREST), Image.fromarray(disc)
