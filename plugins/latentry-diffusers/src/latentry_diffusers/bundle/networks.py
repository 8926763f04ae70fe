"""The networks of diffusers and transformers that families are put together from, and how files hold each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from latentry_diffusers.bundle.tokenizers import TokenizerSpec
from latentry_diffusers.files.configs import Kinds
from latentry_diffusers.layouts.clip import open_clip_pairs
from latentry_diffusers.layouts.flux import flux_pairs
from latentry_diffusers.layouts.pair import Pair
from latentry_diffusers.layouts.sd3 import sd3_pairs
from latentry_diffusers.layouts.t5 import t5_gguf_pairs
from latentry_diffusers.layouts.unet import unet_pairs
from latentry_diffusers.layouts.vae import old_vae_pairs, vae_pairs

Config = Mapping[str, Any]
Role = Literal["vae", "text-encoder"]
Shape = tuple[int, ...]
Layout = Callable[[Config], tuple[Pair, ...]]


@dataclass(frozen=True)
class Network:
    """One class of networks.

    Attributes:
        target: the class as ``package:name``.
        witness: a tensor whose name differs from layout to layout, in the network's own words (see ``common_name``).
        shape: of that tensor, by configuration.
        layouts: in which files may have it besides its own.
    """

    target: str
    witness: str
    shape: Callable[[Config], Shape]
    layouts: tuple[Layout, ...] = ()


@dataclass(frozen=True)
class PartSpec:
    """One network of a family's checkpoints.

    Attributes:
        name: its folder in diffusers' layout.
        network: what it is.
        kinds: what its ``config.json`` must say.
        prefixes: what its tensors' names begin with in a file of the whole checkpoint.
        role: as what a file of its own can be given.
        tokenizer: where it is a text encoder.
        optional: the model does without it.
        identities: matrices that single files leave out, being the identity.
    """

    name: str
    network: Network
    kinds: Kinds
    prefixes: tuple[str, ...]
    role: Role | None = None
    tokenizer: TokenizerSpec | None = None
    optional: bool = False
    identities: tuple[str, ...] = ()


def common_name(name: str) -> str:
    """One name for a tensor that transformers' networks and files call differently, or have under two names."""
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


def _t5(config: Config) -> Shape:
    return (config["vocab_size"], config["d_model"])


_TIME = "time_text_embed.timestep_embedder.linear_1.weight"
_TOKENS = "embeddings.token_embedding.weight"

UNET = Network("diffusers:UNet2DConditionModel", "time_embedding.linear_1.weight", _unet, (unet_pairs,))
VAE = Network("diffusers:AutoencoderKL", "decoder.mid_block.attentions.0.to_q.weight", _vae, (vae_pairs, old_vae_pairs))
SD3 = Network("diffusers:SD3Transformer2DModel", _TIME, _transformer, (sd3_pairs,))
FLUX = Network("diffusers:FluxTransformer2DModel", _TIME, _transformer, (flux_pairs,))
CLIP = Network("transformers:CLIPTextModel", _TOKENS, _clip, (partial(open_clip_pairs, root=""),))
CLIP_PROJECTED = Network(
    "transformers:CLIPTextModelWithProjection", _TOKENS, _clip, (partial(open_clip_pairs, root="", projected=True),)
)
T5 = Network("transformers:T5EncoderModel", "shared.weight", _t5, (t5_gguf_pairs,))
