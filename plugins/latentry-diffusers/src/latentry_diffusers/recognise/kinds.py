"""Tells what a weight file is if it is not a model, by the names and shapes of its tensors."""

from __future__ import annotations

from typing import NamedTuple

from latentry import FileKind
from latentry_diffusers.files.headers import alone, side
from latentry_diffusers.files.weight_files import WeightFiles
from latentry_diffusers.recognise.adapter_bases import by_text_width
from latentry_diffusers.recognise.adapters import adapter
from latentry_diffusers.recognise.text_encoders import text_encoder
from latentry_diffusers.recognise.unet_shape import find_unet


class Kind(NamedTuple):
    """What files are that are not a model.

    Attributes:
        words: to follow "is": ``a LoRA for Stable Diffusion XL``.
        evidence: what shows it, one short sentence.
        family: the name of the family that it is for, where that can be told.
        kind: what can be done with them.
    """

    words: str
    evidence: str
    family: str | None = None
    kind: FileKind = FileKind.OTHER


def kind_of(weights: WeightFiles) -> Kind | None:
    """What the file is; None for a model, and for what is not known here."""
    for test in (_adapter, _control, _embedding, _upscaler, _autoencoder, _text_encoder, _image_encoder, _language):
        if (kind := test(weights)) is not None:
            return kind
    return None


def _adapter(weights: WeightFiles) -> Kind | None:
    if (found := adapter(weights)) is None:
        return None
    what, key, base, of = found
    if base is None:
        return Kind(what, f"it holds {key}; nothing in it tells which family it is for", kind=of)
    return Kind(f"{what} for {base.label}", f"it holds {key}", base.family, of)


CONTROL = (
    ("controlnet_down_blocks.", "a ControlNet"),
    ("controlnet_cond_embedding.", "a ControlNet"),
    ("controlnet_blocks.", "a ControlNet"),
    ("controlnet_x_embedder.", "a ControlNet"),
    ("control_model.", "a ControlNet"),
    ("input_hint_block.", "a ControlNet"),
    ("lora_controlnet", "a Control-LoRA"),
    ("lllite_", "a ControlNet-LLLite"),
    ("adapter.body.", "a T2I-Adapter"),
    ("body.0.in_conv.", "a T2I-Adapter"),
)
"""How names begin that only networks for control images have."""


def _control(weights: WeightFiles) -> Kind | None:
    for start, words in CONTROL:
        if (key := next((name for name in weights.tensors if name.startswith(start)), None)) is not None:
            base = by_text_width(weights.tensors)
            label = "" if base is None else f" for {base.label}"
            return Kind(f"{words}{label}", f"it holds {key}", None if base is None else base.family)
    return None


def _embedding(weights: WeightFiles) -> Kind | None:
    names, words, kind = set(weights.tensors), "a textual inversion embedding", FileKind.EMBEDDING
    if names == {"clip_l", "clip_g"}:
        return Kind(f"{words} for Stable Diffusion XL", "it holds rows for CLIP-L and CLIP-G", "sdxl", kind)
    if len(names) != 1:
        return None
    ((name, header),) = weights.tensors.items()
    if len(header.shape) not in (1, 2):
        return None
    if name in ("emb_params", "clip_l"):
        return Kind(words, f"it holds only {name}", kind=kind)
    if "." in name or header.shape[-1] not in (768, 1024, 1280):
        return None
    return Kind(words, f"it holds only {name}, whose rows are as wide as a text encoder's", kind=kind)


def _upscaler(weights: WeightFiles) -> Kind | None:
    tensors, words = weights.tensors, "an upscaler"
    unet = find_unet(tensors)
    if unet is not None and unet.shape.channels == 7:
        return Kind(words, "its UNet takes 7 channels, for the latents and the small image")
    if side(tensors, "conv_first.weight", 3) is not None:
        return Kind(words, "it begins with conv_first, as ESRGAN, SwinIR and similar networks do")
    if side(tensors, "model.0.weight", 3) is not None and "model.1.sub.0.RDB1.conv1.0.weight" in tensors:
        return Kind(words, "it has ESRGAN's dense blocks")
    if side(tensors, "body.0.weight", 3) is not None and all(name.startswith("body.") for name in tensors):
        return Kind(words, "it has the body of compact Real-ESRGAN")
    return None


def _autoencoder(weights: WeightFiles) -> Kind | None:
    tensors = alone(weights.tensors, ("first_stage_model.", "vae.", ""))
    channels = side(tensors, "decoder.conv_in.weight", 1)
    if channels is not None and side(tensors, "decoder.conv_in.weight", 4) is not None:
        return Kind("an autoencoder for video", "its convolutions have three dimensions", kind=FileKind.AUTOENCODER)
    if channels is not None:
        words, evidence = f"an autoencoder with {channels} latent channels", f"its decoder takes {channels} channels"
        return Kind(words, evidence, kind=FileKind.AUTOENCODER)
    if "decoder.layers.1.conv.0.weight" in tensors or "encoder.layers.0.weight" in tensors:
        evidence = "its layers are numbered consecutively, as in TAESD"
        return Kind("a tiny autoencoder", evidence, kind=FileKind.AUTOENCODER)
    return None


def _text_encoder(weights: WeightFiles) -> Kind | None:
    found = text_encoder(weights.tensors)
    if found is None:
        return None
    shape = f"it has {found.layers} layers of width {found.width}"
    if found.name is None:
        shape = f"{shape}, which no published one has"
    return Kind(f"a text encoder ({found.name or found.architecture})", shape, kind=FileKind.TEXT_ENCODER)


IMAGE = ("vision_model.", "visual.", "model.visual.")


def _image_encoder(weights: WeightFiles) -> Kind | None:
    key = next((name for name in weights.tensors if name.startswith(IMAGE)), None)
    return None if key is None else Kind("an image encoder", f"it holds {key}")


LANGUAGE = ("model.layers.0.self_attn.q_proj.weight", "blk.0.attn_q.weight", "blk.0.attn_qkv.weight")


def _language(weights: WeightFiles) -> Kind | None:
    key = next((name for name in LANGUAGE if name in weights.tensors), None)
    return None if key is None else Kind("a language model", f"it holds {key}")
