"""Records what goes through the networks of one of diffusers' pipelines, or of one of our models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from support.recording import Recording

DENOISERS = ("unet", "transformer")


@contextmanager
def recording_of(sides: Sequence[Any], pictures: int) -> Iterator[Recording]:
    """Records for the length of a ``with`` block.

    Args:
        sides: a pipeline or a model, and after it a refiner, which shares its autoencoder, where there is one.
        pictures: how many are drawn in one batch.
    """
    recorded, vae = Recording(), sides[0].vae
    with ExitStack() as stack:
        for side, owner in zip(sides, ("", " of the refiner"), strict=False):
            for part, network in _networks(side).items():
                recorder: Any
                if part.startswith("text_encoder"):
                    recorder = _TextEncoder(recorded, part + owner, _empty_is_zeros(side))
                elif part in DENOISERS:
                    recorder = _Denoiser(recorded, owner, pictures)
                else:
                    continue
                stack.callback(network.register_forward_pre_hook(recorder, with_kwargs=True).remove)
        vae.decode = _Decoder(recorded, vae.decode, vae.config)
        stack.callback(delattr, vae, "decode")
        yield recorded


def _networks(side: Any) -> Mapping[str, Any]:
    """By part, with the same names on both sides."""
    parts = side.networks if hasattr(side, "networks") else side.components
    return {name: part for name, part in parts.items() if isinstance(part, torch.nn.Module)}


def _empty_is_zeros(side: Any) -> bool:
    """Whether an empty negative prompt becomes zeros; diffusers then does not run the text encoders for it."""
    if hasattr(side, "networks"):
        return bool(getattr(side.checkpoint, "zeros", False))
    return bool(side.config.get("force_zeros_for_empty_prompt", False))


@dataclass
class _TextEncoder:
    recorded: Recording
    name: str
    skips_empty: bool

    def __call__(self, module: Any, given: Sequence[Any], options: Mapping[str, Any]) -> None:
        ids = given[0] if given else options["input_ids"]
        if self.skips_empty:
            ids = ids[ids[:, 1] != module.config.eos_token_id]
        real = options.get("attention_mask")  # one side may pad, and mask that
        rows = [ids] if real is None else [row[kept.bool()][None] for row, kept in zip(ids, real, strict=True)]
        self.recorded.ids.setdefault(self.name, []).extend(rows)


@dataclass
class _Denoiser:
    recorded: Recording
    owner: str
    pictures: int

    def __call__(self, module: Any, given: Sequence[Any], options: Mapping[str, Any]) -> None:
        """Samples and times are given by place or by name; samples are latents, tokens with channels last, or lists."""
        recorded, named = self.recorded, dict(options)
        if given and isinstance(given[0], list):
            # states of the prompts, of different lengths; the sides have guided and unguided ones in different orders
            named["encoder_hidden_states"] = pad_sequence(sorted(given[2], key=torch.sum), batch_first=True)
            given = (torch.cat(given[0], dim=1).transpose(0, 1), given[1])
        if skipped := named.get("skip_layers"):
            recorded.skipped.append(tuple(skipped))
            return
        sample = given[0] if given else named.pop("hidden_states")
        time = given[1] if len(given) > 1 else named.pop("timestep")
        own = module.config.get("out_channels") or module.config.in_channels
        shown = sample[:, own:] if sample.ndim == 4 else sample[..., own:]
        if "img_ids" in named:
            # the positions as the network uses them: our side gives what comes of them
            both = (named.pop("txt_ids"), named.pop("img_ids"))
            ids = torch.cat([each[0] if each.ndim == 3 else each for each in both])
            named["rotary"] = torch.stack(module.pos_embed(ids))
        given_first = {
            **named,
            **(named.get("added_cond_kwargs") or {}),
            **({"shown": shown.clone()} if shown.numel() else {}),
        }
        for name, value in given_first.items():
            if isinstance(value, Tensor):
                recorded.conditioning.setdefault(name + self.owner, value)
        recorded.times.append(float(torch.as_tensor(time).flatten()[0]))
        recorded.inputs.append(sample[-self.pictures :].clone())


@dataclass
class _Decoder:
    recorded: Recording
    decode: Any
    config: Any

    def __call__(self, raw: Tensor, **options: Any) -> Any:
        out = self.decode(raw, **options)
        shift = getattr(self.config, "shift_factor", None) or 0.0
        self.recorded.latents.append((raw - shift) * self.config.get("scaling_factor", 1.0))
        self.recorded.pixels.append(out[0])
        return out
