"""SD3 and FLUX.1 through diffusers' pipelines and through ours, both overheard."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from PIL.Image import Image, fromarray
from torch import Tensor

from latentry import Engine, GenerationRequest, PluginHost
from support.stages import Overheard

TOLD = ("encoder_hidden_states", "pooled_projections", "guidance", "txt_ids", "img_ids")


@contextmanager
def overhearing(encoders: Mapping[str, Any], transformer: Any, vae: Any, pictures: int) -> Iterator[Overheard]:
    """Listens until the end of the ``with``; ``pictures`` are drawn in one batch."""
    heard, decode = Overheard(), vae.decode

    def decoding(raw: Tensor, **options: Any) -> Any:
        out = decode(raw, **options)
        heard.latents.append((raw - vae.config.shift_factor) * vae.config.scaling_factor)
        heard.pixels.append(out[0])
        return out

    listeners = [(transformer, _Transformer(heard, pictures))]
    listeners += [(encoder, _Encoder(heard, name)) for name, encoder in encoders.items()]
    with ExitStack() as stack:
        for network, listener in listeners:
            stack.callback(network.register_forward_pre_hook(listener, with_kwargs=True).remove)
        vae.decode = decoding
        stack.callback(delattr, vae, "decode")
        yield heard


@dataclass
class _Encoder:
    heard: Overheard
    name: str

    def __call__(self, module: Any, given: Sequence[Any], options: Mapping[str, Any]) -> None:
        self.heard.ids.setdefault(self.name, []).append(given[0] if given else options["input_ids"])


@dataclass
class _Transformer:
    heard: Overheard
    pictures: int

    def __call__(self, module: Any, given: Sequence[Any], options: Mapping[str, Any]) -> None:
        heard, sample = self.heard, given[0] if given else options["hidden_states"]
        if options.get("skip_layers"):
            heard.skipped.append(tuple(options["skip_layers"]))
        if not heard.told:
            heard.told.update({name: options[name] for name in TOLD if options.get(name) is not None})
        time = float(options["timestep"].flatten()[0])
        if time not in heard.times[-1:]:
            heard.times.append(time)
            heard.inputs.append(sample[-self.pictures :].clone())


def theirs(kind: Any, folder: Path, prompts: Sequence[str], **options: Any) -> Overheard:
    """diffusers' side: a pipeline of that class on a checkpoint folder, in float32.

    Its autoencoder gives the mode of its posterior, as ours does, instead of a sample of it.
    """
    index = json.loads((folder / "model_index.json").read_text())
    absent = {name: None for name, entry in index.items() if name.startswith(("text", "token")) and entry[0] is None}
    pipeline = kind.from_pretrained(folder, local_files_only=True, torch_dtype=torch.float32, **absent)
    pipeline.set_progress_bar_config(disable=True)
    encoders = {
        name: part for name, part in pipeline.components.items() if name.startswith("text_encoder") and part is not None
    }
    mode = patch.object(DiagonalGaussianDistribution, "sample", lambda self, generator=None: self.mode())
    with mode, overhearing(encoders, pipeline.transformer, pipeline.vae, len(prompts)) as heard:
        pipeline(list(prompts), output_type="pt", **options)
    return heard


def ours(
    folder: Path,
    prompts: Sequence[str],
    latents: Tensor,
    *,
    init_image: Image | None = None,
    mask: Image | None = None,
    **settings: Any,
) -> Overheard:
    """Latentry's side; attention is the networks' own unless ``settings`` say otherwise."""
    request = GenerationRequest(
        **{"prompt": tuple(prompts), "model": str(folder), "dtype": "float32", "attention": "native", **settings}
    )
    engine, pictures = Engine(PluginHost()), {"init_image": init_image, "mask": mask}
    model: Any = engine.load(engine.prepare(request, **pictures))
    texts = (*model.clips, model.t5) if hasattr(model, "clips") else (model.clip, model.t5)
    encoders = {f"text_encoder{n}": text.encoder for n, text in zip(("", "_2", "_3"), texts, strict=False) if text}
    with overhearing(encoders, model.transformer, model.vae, len(prompts)) as heard:
        engine.generate(request, latents=latents, **pictures)
    return heard


def drawing() -> tuple[Image, Image]:
    """A picture of 64 × 64 pixels, and a mask that is white on its right half and on one pixel of the left."""
    pixels = torch.randint(256, (8, 8, 3), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)
    mask = np.zeros((64, 64), np.uint8)
    mask[:, 32:], mask[8, 8] = 255, 255
    return fromarray(pixels.numpy()).resize((64, 64)), fromarray(mask)
