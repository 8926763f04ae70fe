"""Listens to the networks of a pipeline of diffusers, or of a model of ours, as they are called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from support.stages import Overheard

DENOISERS = ("unet", "transformer")


@contextmanager
def overhearing(sides: Sequence[Any], pictures: int) -> Iterator[Overheard]:
    """Until the end of the ``with``.

    Args:
        sides: a pipeline or a model, and after it a refiner, which shares its autoencoder, where there is one.
        pictures: drawn in one batch.
    """
    heard, vae = Overheard(), sides[0].vae
    with ExitStack() as stack:
        for side, whose in zip(sides, ("", " of the refiner"), strict=False):
            for part, network in _networks(side).items():
                listener: Any
                if part.startswith("text_encoder"):
                    listener = _TextEncoder(heard, part + whose, _empty_is_zeros(side))
                elif part in DENOISERS:
                    listener = _Denoiser(heard, whose, pictures)
                else:
                    continue
                stack.callback(network.register_forward_pre_hook(listener, with_kwargs=True).remove)
        vae.decode = _Decoder(heard, vae.decode, vae.config)
        stack.callback(delattr, vae, "decode")
        yield heard


def _networks(side: Any) -> Mapping[str, Any]:
    """By part, named alike on both sides."""
    parts = side.networks if hasattr(side, "networks") else side.components
    return {name: part for name, part in parts.items() if isinstance(part, torch.nn.Module)}


def _empty_is_zeros(side: Any) -> bool:
    """Whether an empty negative prompt becomes zeros whatever the text encoders make of it: diffusers asks them not."""
    if hasattr(side, "networks"):
        return bool(getattr(side.checkpoint, "zeros", False))
    return bool(side.config.get("force_zeros_for_empty_prompt", False))


@dataclass
class _TextEncoder:
    heard: Overheard
    name: str
    deaf_to_empty: bool

    def __call__(self, module: Any, given: Sequence[Any], options: Mapping[str, Any]) -> None:
        ids = given[0] if given else options["input_ids"]
        if self.deaf_to_empty:
            ids = ids[ids[:, 1] != module.config.eos_token_id]
        self.heard.ids.setdefault(self.name, []).append(ids)


@dataclass
class _Denoiser:
    heard: Overheard
    whose: str
    pictures: int

    def __call__(self, module: Any, given: Sequence[Any], options: Mapping[str, Any]) -> None:
        """Samples and times are given by place or by name, and samples are latents or tokens, channels last."""
        heard, named = self.heard, dict(options)
        if skipped := named.get("skip_layers"):
            heard.skipped.append(tuple(skipped))
            return
        sample = given[0] if given else named.pop("hidden_states")
        time = given[1] if len(given) > 1 else named.pop("timestep")
        own = module.config.out_channels or module.config.in_channels
        shown = sample[:, own:] if sample.ndim == 4 else sample[..., own:]
        told = {
            **named,
            **(named.get("added_cond_kwargs") or {}),
            **({"shown": shown.clone()} if shown.numel() else {}),
        }
        for name, value in told.items():
            if isinstance(value, Tensor):
                heard.told.setdefault(name + self.whose, value)
        heard.times.append(float(torch.as_tensor(time).flatten()[0]))
        heard.inputs.append(sample[-self.pictures :].clone())


@dataclass
class _Decoder:
    heard: Overheard
    decode: Any
    config: Any

    def __call__(self, raw: Tensor, **options: Any) -> Any:
        out = self.decode(raw, **options)
        shift = getattr(self.config, "shift_factor", None) or 0.0
        self.heard.latents.append((raw - shift) * self.config.scaling_factor)
        self.heard.pixels.append(out[0])
        return out
