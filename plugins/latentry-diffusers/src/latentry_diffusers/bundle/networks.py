"""The network classes of diffusers and transformers that families use, and the layouts in which files hold them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

from latentry_diffusers.bundle.tokenizers import TokenizerSpec
from latentry_diffusers.files.configs import Kinds
from latentry_diffusers.layouts.clip import open_clip_pairs
from latentry_diffusers.layouts.flux import flux_pairs
from latentry_diffusers.layouts.language import language_gguf_pairs, language_single_pairs
from latentry_diffusers.layouts.pair import Pair
from latentry_diffusers.layouts.sd3 import sd3_pairs
from latentry_diffusers.layouts.t5 import t5_gguf_pairs
from latentry_diffusers.layouts.unet import unet_pairs
from latentry_diffusers.layouts.vae import old_vae_pairs, vae_pairs
from latentry_diffusers.layouts.vision import qwen25_vl_pairs

Config = Mapping[str, Any]
Role = Literal["vae", "text-encoder"]
Shape = tuple[int, ...]
Pairs = Callable[[Config], tuple[Pair, ...]]
"""Makes the table of a layout from a configuration."""


class Layout(NamedTuple):
    """A layout that is not the network's own.

    Attributes:
        witness: the network's witness in this layout; a file that holds its original name is in this layout.
        pairs: makes the table.
    """

    witness: Pair
    pairs: Pairs


@dataclass(frozen=True)
class Network:
    """One class of networks.

    Attributes:
        target: the class as ``package:name``.
        witness: a tensor that is named differently in every layout, by its name in the network (see ``common_name``).
        shape: of that tensor, by configuration.
        layouts: the other layouts that files may have it in.
    """

    target: str
    witness: str
    shape: Callable[[Config], Shape]
    layouts: tuple[Layout, ...] = ()


@dataclass(frozen=True)
class PartSpec:
    """One network of a family's checkpoints.

    Attributes:
        name: its folder in the diffusers layout.
        network: its class.
        kinds: keys that its ``config.json`` must have, and their types.
        prefixes: how the names of its tensors begin in a file of the whole checkpoint.
        role: the option that gives this part separately; None where there is no such option.
        tokenizer: the tokenizer of a text encoder.
        optional: whether the model runs without it.
        identities: matrices that single files leave out because they are the identity.
        whole: words in the names of layers that are always kept as they are computed with; None for those of
            ``latentry.models.layers_in_blocks``.
        within: the key of ``config.json`` under which it is described, where it is part of a larger model there.
    """

    name: str
    network: Network
    kinds: Kinds
    prefixes: tuple[str, ...]
    role: Role | None = None
    tokenizer: TokenizerSpec | None = None
    optional: bool = False
    identities: tuple[str, ...] = ()
    within: str = ""
    whole: tuple[str, ...] | None = None


def common_name(name: str) -> str:
    """One name for a tensor that transformers' networks and files name differently, or hold under two names."""
    name = name.removeprefix("text_model.")
    return "shared.weight" if name == "encoder.embed_tokens.weight" else name


def _unet(config: Config) -> Shape:
    width = config["block_out_channels"][0]
    return (4 * width, width)


def _vae(config: Config) -> Shape:
    return (config["block_out_channels"][-1],) * 2


def _transformer(config: Config) -> Shape:
    return (config["num_attention_heads"] * config["attention_head_dim"], 256)


def _clip(config: Config) -> Shape:
    return (config.get("vocab_size", 49408), config["hidden_size"])


def _language(config: Config) -> Shape:
    return (config["vocab_size"], config["hidden_size"])


def _t5(config: Config) -> Shape:
    return (config["vocab_size"], config["d_model"])


_TIME = "time_text_embed.timestep_embedder.linear_1.weight"
_TOKENS = "embeddings.token_embedding.weight"
_TIME_UNET = "time_embedding.linear_1.weight"
_QUERY = "decoder.mid_block.attentions.0.to_q.weight"
_SHARED = "shared.weight"
_EMBED = "embed_tokens.weight"

UNET = Network(
    "diffusers:UNet2DConditionModel",
    _TIME_UNET,
    _unet,
    (Layout(Pair("time_embed.0.weight", (_TIME_UNET,)), unet_pairs),),
)
VAE = Network(
    "diffusers:AutoencoderKL",
    _QUERY,
    _vae,
    (
        Layout(Pair("decoder.mid.attn_1.q.weight", (_QUERY,), "conv"), vae_pairs),
        Layout(Pair("decoder.mid_block.attentions.0.query.weight", (_QUERY,)), old_vae_pairs),
    ),
)
SD3 = Network(
    "diffusers:SD3Transformer2DModel",
    _TIME,
    _transformer,
    (Layout(Pair("t_embedder.mlp.0.weight", (_TIME,)), sd3_pairs),),
)
FLUX = Network(
    "diffusers:FluxTransformer2DModel",
    _TIME,
    _transformer,
    (Layout(Pair("time_in.in_layer.weight", (_TIME,)), flux_pairs),),
)
_OPEN_CLIP = Pair("token_embedding.weight", (_TOKENS,))
CLIP = Network("transformers:CLIPTextModel", _TOKENS, _clip, (Layout(_OPEN_CLIP, partial(open_clip_pairs, root="")),))
CLIP_PROJECTED = Network(
    "transformers:CLIPTextModelWithProjection",
    _TOKENS,
    _clip,
    (Layout(_OPEN_CLIP, partial(open_clip_pairs, root="", projected=True)),),
)
_LANGUAGE = (
    *(
        Layout(Pair(f"{root}embed_tokens.weight", (_EMBED,)), partial(language_single_pairs, root=root))
        for root in ("model.", "model.language_model.", "language_model.model.")
    ),
    Layout(Pair("token_embd.weight", (_EMBED,)), language_gguf_pairs),
)
LANGUAGE_KEYS: Kinds = {"model_type": str, "vocab_size": int, "hidden_size": int, "num_hidden_layers": int}
"""What the configuration of a language model must have."""
QWEN3 = Network(
    "transformers:Qwen3Model",
    _EMBED,
    _language,
    _LANGUAGE,
)
QWEN25_VL = Network("transformers:Qwen2_5_VLTextModel", _EMBED, _language, _LANGUAGE)
_SPOKEN = f"language_model.{_EMBED}"
QWEN25_VL_SEEING = Network(
    "transformers:Qwen2_5_VLModel",
    _SPOKEN,
    lambda config: _language(config["text_config"]),
    (
        Layout(Pair(f"model.{_EMBED}", (_SPOKEN,)), qwen25_vl_pairs),
        Layout(
            Pair(f"model.{_SPOKEN}", (_SPOKEN,)),
            partial(qwen25_vl_pairs, language="model.language_model.", eyes="model.visual."),
        ),
    ),
)
"""Qwen2.5-VL with its picture encoder."""
MISTRAL = Network("transformers:MistralModel", _EMBED, _language, _LANGUAGE)
"""Language models whose hidden states are what a denoiser attends to; the layer that names words is not needed."""
T5 = Network(
    "transformers:T5EncoderModel", _SHARED, _t5, (Layout(Pair("token_embd.weight", (_SHARED,)), t5_gguf_pairs),)
)
