"""Which configurations, vocabularies and parts a checkpoint is made of, and what is said where one is missing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import save_file

from latentry import ModelError, ModelFiles
from latentry_diffusers.bundle.known_tensors import is_useless
from latentry_diffusers.bundle.networks import (
    CLIP,
    CLIP_PROJECTED,
    FLUX,
    SD3,
    T5,
    UNET,
    VAE,
    Network,
    PartSpec,
    common_name,
)
from latentry_diffusers.bundle.open import Bundle, open_bundle
from latentry_diffusers.bundle.tokenizers import Text, TokenizerSpec, find_tokenizer, load_text
from latentry_shapes.encoders import clip_tokenizer, t5_tokenizer

CLIP_L = PartSpec(
    "text_encoder",
    CLIP,
    {"hidden_size": int},
    ("cond_stage_model.transformer.",),
    "text-encoder",
    TokenizerSpec("tokenizer", "clip"),
)
CLIP_G = PartSpec(
    "text_encoder_2",
    CLIP,
    {"hidden_size": int},
    ("text_encoders.clip_g.transformer.",),
    "text-encoder",
    TokenizerSpec("tokenizer_2", "clip", "a</w>"),
)
XXL = PartSpec(
    "text_encoder_3",
    T5,
    {"d_model": int},
    ("text_encoders.t5xxl.transformer.",),
    "text-encoder",
    TokenizerSpec("tokenizer_3", "t5"),
    optional=True,
)
FIRST = PartSpec("vae", VAE, {"block_out_channels": list}, ("first_stage_model.",), "vae")
SPECS = (CLIP_L, CLIP_G, XXL, FIRST)
PUBLISHED: Mapping[str, Any] = {
    "text_encoder": {"hidden_size": 4, "vocab_size": 50, "num_hidden_layers": 1},
    "text_encoder_2": {"hidden_size": 6, "vocab_size": 50, "num_hidden_layers": 1},
    "text_encoder_3": {"d_model": 8, "vocab_size": 40, "num_layers": 1},
    "vae": {"block_out_channels": (2, 3)},
    "scheduler": {"shift": 3.0},
}
TOKENS = "text_model.embeddings.token_embedding.weight"
WITNESSES: Mapping[str, torch.Tensor] = {
    f"cond_stage_model.transformer.{TOKENS}": torch.zeros(50, 4),
    f"text_encoders.clip_g.transformer.{TOKENS}": torch.zeros(50, 6),
    "text_encoders.t5xxl.transformer.shared.weight": torch.zeros(40, 8),
    "first_stage_model.decoder.mid.attn_1.q.weight": torch.zeros(3, 3, 1, 1),
}


@pytest.fixture(scope="module")
def vocabularies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As in a diffusers folder."""
    folder = tmp_path_factory.mktemp("vocabularies")
    clip_tokenizer().save_pretrained(folder / "tokenizer")
    clip_tokenizer().save_pretrained(folder / "tokenizer_2")
    t5_tokenizer().save_pretrained(folder / "tokenizer_3")
    return folder


@pytest.fixture(autouse=True)
def empty_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No cache of this machine's."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def written(folder: Path, name: str, *wanted: str) -> Path:
    """A file with some of the witnesses, without the prefixes where it holds one part."""
    tensors = {key: tensor for key, tensor in WITNESSES.items() if any(word in key for word in wanted)}
    save_file(tensors, folder / name)
    return folder / name


def opened(files: ModelFiles) -> Bundle:
    return open_bundle(files, SPECS, PUBLISHED)


def test_a_single_file_has_the_published_configurations(tmp_path: Path, vocabularies: Path) -> None:
    file = written(tmp_path, "model.safetensors", *WITNESSES)
    bundle = opened(ModelFiles(file, (("tokenizer", vocabularies),)))
    assert list(bundle.parts) == [spec.name for spec in SPECS]
    assert {name: part.config for name, part in bundle.parts.items()} | {"scheduler": bundle.scheduler} == PUBLISHED
    assert bundle.parts["vae"].prefix == "first_stage_model."


def test_a_configuration_folder_comes_first(tmp_path: Path, vocabularies: Path) -> None:
    file = written(tmp_path, "model.safetensors", *WITNESSES)
    config = tmp_path / "config"
    for part, content in {"vae": {"block_out_channels": [2, 3], "scaling_factor": 0.5}, "scheduler": {}}.items():
        (config / part).mkdir(parents=True)
        name = "scheduler_config.json" if part == "scheduler" else "config.json"
        (config / part / name).write_text(json.dumps(content))
    bundle = opened(ModelFiles(file, (("tokenizer", vocabularies),), config))
    assert bundle.config("vae") == {"block_out_channels": [2, 3], "scaling_factor": 0.5}
    assert bundle.config("text_encoder") == PUBLISHED["text_encoder"]
    assert bundle.scheduler == {}


def test_an_optional_part_may_be_absent_or_left_out(tmp_path: Path, vocabularies: Path) -> None:
    tokenizer = (("tokenizer", vocabularies),)
    without = written(tmp_path, "without.safetensors", "transformer.text_model", "first_stage")
    assert "text_encoder_3" not in opened(ModelFiles(without, tokenizer)).parts
    whole = written(tmp_path, "whole.safetensors", *WITNESSES)
    assert "text_encoder_3" not in opened(ModelFiles(whole, tokenizer, without=("text_encoder_3",))).parts


def test_text_encoders_are_distinguished_by_their_shapes(tmp_path: Path, vocabularies: Path) -> None:
    """All under the same names, in files that say nothing else."""
    given = []
    for name, key, shape in (
        ("big", TOKENS, (50, 6)),
        ("t5", "shared.weight", (40, 8)),
        ("small", TOKENS, (50, 4)),
    ):
        save_file({key: torch.zeros(shape)}, tmp_path / f"{name}.safetensors")
        given.append(("text-encoder", tmp_path / f"{name}.safetensors"))
    main = written(tmp_path, "main.safetensors", "first_stage")
    bundle = opened(ModelFiles(main, (*given, ("tokenizer", vocabularies))))  # type: ignore[arg-type]
    origins = {name: part.origin.stem for name, part in bundle.parts.items()}
    assert origins == {"text_encoder": "small", "text_encoder_2": "big", "text_encoder_3": "t5", "vae": "main"}
    save_file({TOKENS: torch.zeros(50, 5)}, tmp_path / "odd.safetensors")
    with pytest.raises(ModelError, match=r"odd\.safetensors is not a text encoder of this model") as caught:
        opened(ModelFiles(main, (("text-encoder", tmp_path / "odd.safetensors"),)))
    assert "text_encoder (50, 4), text_encoder_2 (50, 6)" in caught.value.why
    assert "--config FOLDER" in caught.value.remedy


def test_errors_name_missing_parts_with_their_options(tmp_path: Path, vocabularies: Path) -> None:
    main = written(tmp_path, "main.safetensors", "clip_g")
    with pytest.raises(ModelError, match="does not hold text_encoder, vae") as caught:
        opened(ModelFiles(main, (("tokenizer", vocabularies),)))
    assert caught.value.remedy == "Give --text-encoder FILE and --vae FILE, once for each."


def test_vocabularies_are_looked_for_in_order(tmp_path: Path, vocabularies: Path, empty_hub: Path) -> None:
    file = tmp_path / "model.safetensors"
    spec = TokenizerSpec("tokenizer_2", "clip", "a</w>")
    lone = ("tokenizer", vocabularies / "tokenizer")
    wrong = ("tokenizer", vocabularies / "tokenizer_3")
    named = ("tokenizer", vocabularies)
    assert find_tokenizer(spec, ModelFiles(file, (named,))).folder == vocabularies / "tokenizer_2"
    assert find_tokenizer(spec, ModelFiles(file, (named,))).pad is None  # a folder of its own knows
    found = find_tokenizer(spec, ModelFiles(file, (wrong, lone)))  # type: ignore[arg-type]
    assert (found.folder, found.pad) == (vocabularies / "tokenizer", "a</w>")
    assert find_tokenizer(spec, ModelFiles(file, config=vocabularies)).folder == vocabularies / "tokenizer_2"
    assert find_tokenizer(spec, ModelFiles(vocabularies)).folder == vocabularies / "tokenizer_2"
    with pytest.raises(ModelError, match="There is no tokenizer_2") as caught:
        find_tokenizer(spec, ModelFiles(file))
    assert "--tokenizer FOLDER" in caught.value.remedy
    assert "openai/clip-vit-large-patch14" in caught.value.why
    with pytest.raises(ModelError, match="does not hold a vocabulary") as caught:
        find_tokenizer(spec, ModelFiles(file, (("tokenizer", empty_hub),), vocabularies))
    assert "--tokenizer" in caught.value.remedy
    repository = empty_hub / "models--openai--clip-vit-large-patch14"
    snapshot = repository / "snapshots" / "0123456789"
    clip_tokenizer().save_pretrained(snapshot)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123456789")
    found = find_tokenizer(spec, ModelFiles(file))
    assert (found.folder, found.pad) == (snapshot, "a</w>")
    assert load_text(_Encoder(10_000), found).tokenizer.pad_token == "a</w>"


class _Encoder:
    """What is asked of a text encoder."""

    def __init__(self, vocabulary: int) -> None:
        self.config = self
        self.vocab_size = vocabulary

    def get_text_config(self) -> _Encoder:
        """Of a model that reads text alone, the configuration itself."""
        return self


def test_a_vocabulary_that_is_too_large_is_refused(vocabularies: Path) -> None:
    found = find_tokenizer(TokenizerSpec("tokenizer", "clip"), ModelFiles(vocabularies))
    size = len(clip_tokenizer())
    assert isinstance(load_text(_Encoder(size), found), Text)
    with pytest.raises(ModelError, match="does not belong to the text encoder"):
        load_text(_Encoder(size - 1), found)


@pytest.mark.parametrize(
    "name",
    [
        "betas",
        "alphas_cumprod",
        "sqrt_one_minus_alphas_cumprod",
        "posterior_mean_coef1",
        "model_ema.diffusion_modelinput_blocks00weight",
        "cond_stage_model.transformer.text_model.embeddings.position_ids",
        "cond_stage_model.model.transformer.resblocks.23.ln_1.bias",
        "conditioner.embedders.1.model.logit_scale",
        "text_projection.weight",
        "vision_model.post_layernorm.weight",
        "decoder.block.0.layer.0.SelfAttention.q.weight",
        "v_pred",
    ],
)
def test_what_is_known_to_be_useless(name: str) -> None:
    assert is_useless(name)


@pytest.mark.parametrize("name", ["model.diffusion_model.out.2.bias", "decoder.mid_block.x", "betas.more", "extra"])
def test_what_is_not(name: str) -> None:
    assert not is_useless(name)


TINY: Mapping[str, tuple[Network, Mapping[str, Any]]] = {
    "UNet": (UNET, {}),
    "autoencoder": (VAE, {}),
    "CLIP": (CLIP, {}),
    "CLIP with its projection": (CLIP_PROJECTED, {}),
    "T5": (T5, {"num_layers": 1}),
    "SD3": (SD3, {"num_layers": 1}),
    "FLUX": (FLUX, {"num_layers": 1, "num_single_layers": 1, "num_attention_heads": 2, "attention_head_dim": 4}),
}


@pytest.mark.parametrize("name", TINY)
def test_the_witness_of_each_layout_is_in_its_table_and_in_no_other(name: str) -> None:
    network, config = TINY[name]
    tables = [layout.pairs(config) for layout in network.layouts]
    own = {key for pairs in tables for pair in pairs for key in map(common_name, pair.diffusers)}
    assert network.witness in own
    for layout, pairs in zip(network.layouts, tables, strict=True):
        assert layout.witness in pairs
        assert layout.witness.diffusers == (network.witness,)
        assert layout.witness.original not in own
        others = [pair.original for table in tables if table is not pairs for pair in table]
        assert layout.witness.original not in others
