"""Published checkpoints as single files: the names and shapes of their tensors at full size, from networks on meta."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, NamedTuple

from support.sparse import originals

Pairs = Callable[[Any], Iterable[Any]]


class Held(NamedTuple):
    """How a single file holds a part: what its names begin with, and its layout."""

    prefix: str
    pairs: Pairs


DENOISER, AUTOENCODER = "model.diffusion_model.", "first_stage_model."
TRAINED = {"alphas_cumprod": (1000,), "model_ema.decay": (), "model_ema.diffusion_modelinput_blocks00bias": (320,)}
"""What files of trainings hold besides."""


def networks(family: str, variant: str) -> dict[str, Any]:
    """A variant's networks at full size, on meta."""
    import torch

    with torch.device("meta"):
        built: dict[str, Any] = import_module(f"latentry_{family}.variants").build(variant)
    return built


def single_file(family: str, variant: str, parts: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shapes of all tensors of a checkpoint in its original layout."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, held in layout(family, variant).items():
        if name in parts:
            network = parts[name]
            shapes |= originals(network, held.pairs(network), held.prefix)
    return shapes


def layout(family: str, variant: str) -> dict[str, Held]:
    """How single files of a family hold each part."""
    from latentry_diffusers.layouts.flux import flux_pairs
    from latentry_diffusers.layouts.sd3 import sd3_pairs
    from latentry_diffusers.layouts.unet import unet_pairs
    from latentry_diffusers.layouts.vae import vae_pairs

    def configured(pairs: Pairs) -> Pairs:
        return lambda network: pairs(network.config if hasattr(network.config, "keys") else network.config.to_dict())

    if family == "z_image":
        from latentry_diffusers.layouts.language import language_single_pairs
        from latentry_z_image.layout import z_image_pairs
        from latentry_z_image.parts import ENCODER

        return {
            "transformer": Held(DENOISER, configured(z_image_pairs)),
            "vae": Held(AUTOENCODER, configured(vae_pairs)),
            "text_encoder": Held(ENCODER, configured(language_single_pairs)),
        }
    if family == "flux2":
        from latentry_diffusers.layouts.language import language_single_pairs
        from latentry_flux2.layout import flux2_pairs, flux2_vae_pairs
        from latentry_flux2.parts import encoder_prefix

        return {
            "transformer": Held(DENOISER, configured(flux2_pairs)),
            "vae": Held(AUTOENCODER, configured(flux2_vae_pairs)),
            "text_encoder": Held(encoder_prefix(variant), configured(language_single_pairs)),
        }
    if family == "qwen_image":
        from latentry_diffusers.layouts.language import language_single_pairs
        from latentry_qwen_image.layout import qwen_image_pairs
        from latentry_qwen_image.parts import ENCODER as QWEN

        return {
            "transformer": Held(DENOISER, configured(qwen_image_pairs)),
            "text_encoder": Held(QWEN, configured(language_single_pairs)),
        }
    denoiser = {"sd3": sd3_pairs, "flux": flux_pairs}.get(family, unet_pairs)
    held = {"vae": Held(AUTOENCODER, configured(vae_pairs))}
    if family in ("sd3", "flux"):
        encoders = ("clip_l", "clip_g", "t5xxl") if family == "sd3" else ("clip_l", "t5xxl")
        for number, encoder in enumerate(encoders):
            pairs = _t5 if encoder == "t5xxl" else _clip
            name = "text_encoder" if number == 0 else f"text_encoder_{number + 1}"
            held[name] = Held(f"text_encoders.{encoder}.transformer.", pairs)
        return {"transformer": Held(DENOISER, configured(denoiser)), **held}
    if family == "sdxl":
        first = 0 if variant == "refiner" else 1
        held["text_encoder"] = Held("conditioner.embedders.0.transformer.", _clip)
        held["text_encoder_2"] = Held(f"conditioner.embedders.{first}.model.", _open_clip)
    elif variant.startswith("sd15"):
        held["text_encoder"] = Held("cond_stage_model.transformer.", _clip)
    else:
        held["text_encoder"] = Held("cond_stage_model.model.", _open_clip)
    return {"unet": Held(DENOISER, configured(denoiser)), **held}


def _t5(network: Any) -> Iterable[Any]:
    """Single files have T5 under transformers' names, its token embeddings once."""
    from latentry_diffusers.layouts import Pair

    return [Pair(name, (name,)) for name in network.state_dict() if name != "encoder.embed_tokens.weight"]


def _clip(network: Any) -> Iterable[Any]:
    from latentry_diffusers.layouts.clip import clip_pairs

    return clip_pairs(network.config.to_dict(), root=_root(network), projected=hasattr(network, "text_projection"))


def _open_clip(network: Any) -> Iterable[Any]:
    from latentry_diffusers.layouts.clip import open_clip_pairs

    return open_clip_pairs(network.config.to_dict(), root=_root(network), projected=hasattr(network, "text_projection"))


def _root(network: Any) -> str:
    """transformers has the encoder's names with and without a beginning."""
    return "text_model." if any(name.startswith("text_model.") for name in network.state_dict()) else ""
