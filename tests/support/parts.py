"""Random parts that the tiny models of several families are put together from."""

from __future__ import annotations

from typing import Any

TOKENS = 24
"""Tokens of a prompt, padding included."""


def clip(vocabulary: int, *, width: int, projected: bool, hidden_act: str = "quick_gelu") -> Any:
    """A CLIP text encoder over ``TOKENS`` positions, as wide pooled as within."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=TOKENS,
        projection_dim=width,
        hidden_act=hidden_act,
        bos_token_id=vocabulary - 2,
        eos_token_id=vocabulary - 1,
        pad_token_id=vocabulary - 1,
    )
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config)


def t5(vocabulary: int, *, width: int) -> Any:
    """The encoder of a T5 1.1: gated, without biases, with relative positions."""
    from transformers import T5Config, T5EncoderModel

    return T5EncoderModel(
        T5Config(
            vocab_size=vocabulary,
            d_model=width,
            d_kv=16,
            d_ff=2 * width,
            num_layers=2,
            num_heads=4,
            feed_forward_proj="gated-gelu",
            is_encoder_decoder=False,
            use_cache=False,
        )
    )


def qwen3(vocabulary: int, *, width: int, layers: int = 3, headed: bool = False) -> Any:
    """A Qwen3 whose queries share keys and values in pairs; ``headed`` as a model that names the next token."""
    from transformers import Qwen3Config, Qwen3ForCausalLM, Qwen3Model

    config = Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        tie_word_embeddings=True,
    )
    return (Qwen3ForCausalLM if headed else Qwen3Model)(config)


def seeing_tokenizer() -> Any:
    """A tokenizer over the caption vocabulary with the tokens that stand for pictures."""
    from tokenizers import AddedToken

    from latentry_shapes.encoders import qwen_tokenizer

    tokenizer = qwen_tokenizer()
    shown = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
    tokenizer.add_tokens([AddedToken(token, special=True) for token in shown], special_tokens=True)
    return tokenizer


def qwen25_vl(words: Any, *, width: int) -> Any:
    """A Qwen2.5-VL over the vocabulary of a ``seeing_tokenizer``, with its eyes."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    text = {
        "vocab_size": len(words),
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 2, 2]},
    }
    sees = {
        "hidden_size": 32,
        "out_hidden_size": width,
        "intermediate_size": 32,
        "depth": 2,
        "num_heads": 2,
        "window_size": 56,
        "fullatt_block_indexes": [1],
    }
    ids = {f"{what}_token_id": words.convert_tokens_to_ids(f"<|{what}_pad|>") for what in ("image", "video")}
    return Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(text_config=text, vision_config=sees, **ids))


MISTRAL_CHAT = """{{- '<s>' -}}
{%- for message in messages -%}
{%- set text = message.content[0].text -%}
{%- if message.role == 'system' -%}{{- '[SYSTEM_PROMPT]' + text + '[/SYSTEM_PROMPT]' -}}
{%- else -%}{{- '[INST]' + text + '[/INST]' -}}{%- endif -%}
{%- endfor -%}"""
"""The turns of a conversation as Mistral Small writes them, without pictures and answers."""


def mistral_tokenizer() -> Any:
    """A tokenizer over the caption vocabulary with Mistral's turns, which pads on the left.

    It stands for the processor of text and pictures that Mistral has, which would need torchvision.
    """
    from transformers import PreTrainedTokenizerFast

    from latentry_shapes.encoders import qwen_tokenizer

    special = ("[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[IMG]", "[IMG_BREAK]", "[IMG_END]")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=qwen_tokenizer().backend_tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        extra_special_tokens=list(special),
        padding_side="left",
        model_max_length=4096,
    )
    tokenizer.chat_template = MISTRAL_CHAT
    return tokenizer


def mistral(vocabulary: int, *, width: int, layers: int = 3, headed: bool = False) -> Any:
    """The language model of a Mistral 3, or all of it: with its eyes, and naming the next token."""
    from transformers import Mistral3Config, Mistral3ForConditionalGeneration, MistralConfig, MistralModel

    text = {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "sliding_window": None,
    }
    if not headed:
        return MistralModel(MistralConfig(**text))
    sees = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision = {"model_type": "pixtral", "image_size": 16, "patch_size": 4, "head_dim": 8, **sees}
    config = Mistral3Config(text_config={"model_type": "mistral", **text}, vision_config=vision, image_token_index=1)
    return Mistral3ForConditionalGeneration(config)


def autoencoder(**config: Any) -> Any:
    """Pictures (3, 64, 64) to latents (16, 16, 16) and back, without the convolutions around the latents."""
    from diffusers import AutoencoderKL

    settings: dict[str, Any] = {
        "block_out_channels": (8, 16, 32),
        "layers_per_block": 1,
        "latent_channels": 16,
        "norm_num_groups": 4,
        "down_block_types": ("DownEncoderBlock2D",) * 3,
        "up_block_types": ("UpDecoderBlock2D",) * 3,
        "sample_size": 64,
        "use_quant_conv": False,
        "use_post_quant_conv": False,
    }
    return AutoencoderKL(**(settings | config))
