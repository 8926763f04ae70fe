"""Transformers from GGUF files beside language models in llama.cpp's names: the families whose prompts those read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from support.gguf_files import through, write_gguf
from support.models import PROMPT
from support.models_flux2 import write_flux2
from support.models_qwen_image import write_qwen_image
from support.models_z_image import write_z_image
from torch import Tensor
from transformers.modeling_gguf_pytorch_utils import LlamaTensorProcessor

from latentry import ModelFiles, PluginHost
from latentry.models import PromptSettings
from latentry_diffusers.layouts.language import language_gguf_pairs
from latentry_diffusers.layouts.pair import Pair, backward, forward
from latentry_diffusers.loading.quantised import QuantisedLinear, dequantised, is_quantised
from latentry_flux2.layout import flux2_pairs
from latentry_qwen_image.layout import qwen_image_pairs
from latentry_z_image.layout import z_image_pairs

pytestmark = pytest.mark.slow

TYPE = "Q8_0"
CPU, SETTINGS = torch.device("cpu"), PromptSettings(64, 64, guidance=3.5)


class Case(NamedTuple):
    """What is told of a family here; architectures as city96's and llama.cpp's converters write them."""

    write: Callable[[Path], Path]
    family: str
    variant: str
    pairs: Callable[[Mapping[str, Any]], tuple[Pair, ...]]
    architectures: tuple[str, str]


CASES = {
    "z-image": Case(write_z_image, "z-image", "turbo", z_image_pairs, ("lumina2", "qwen3")),
    "klein": Case(write_flux2, "flux2", "klein-base-4b", flux2_pairs, ("flux", "qwen3")),
    "dev": Case(partial(write_flux2, kind="dev"), "flux2", "dev", flux2_pairs, ("flux", "llama")),
    "qwen-image": Case(write_qwen_image, "qwen-image", "image", qwen_image_pairs, ("qwen_image", "qwen2vl")),
}


def values(tensor: Tensor) -> Tensor:
    return dequantised(tensor, torch.float32) if is_quantised(tensor) else tensor


def shown(model: Any) -> Tensor:
    """What the transformer makes of a prompt."""
    told = model.encode_prompt([PROMPT], SETTINGS)
    x = torch.randn(1, *model.checkpoint.latent_shape(64, 64), generator=torch.Generator().manual_seed(0))
    predicted: Tensor = model.predict(x, 500.0, told)
    return predicted


@pytest.mark.parametrize("name", CASES)
def test_it_computes_what_it_would_with_the_values(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    folder, load = case.write(tmp_path / "model"), PluginHost().families.load(case.family)
    plain = load(ModelFiles(folder), case.variant).load(CPU, torch.float32)
    tables = {"transformer": case.pairs, "text_encoder": language_gguf_pairs}
    written = {}
    for (part, pairs), architecture in zip(tables.items(), case.architectures, strict=True):
        network, table = plain.networks[part], pairs(plain.checkpoint.bundle.config(part))
        held = {pair.original: backward(pair, network.state_dict()) for pair in table}
        written[part] = write_gguf(tmp_path / f"{part}.gguf", held, TYPE, architecture=architecture)
        for pair in table:
            rounded = forward(pair, through(held[pair.original], TYPE).reshape(held[pair.original].shape))
            network.load_state_dict(rounded, strict=False)
    files = ModelFiles(
        written["transformer"], (("vae", folder / "vae"), ("text-encoder", written["text_encoder"])), folder
    )
    loaded = load(files, case.variant).load(CPU, torch.float32)
    assert not loaded.report.missing
    assert not loaded.report.unexpected
    for part, network in plain.networks.items():
        held = loaded.networks[part].state_dict()
        assert all(torch.equal(values(held[key]), tensor) for key, tensor in network.state_dict().items())
        layers = [each for each in loaded.networks[part].modules() if isinstance(each, QuantisedLinear)]
        assert bool(layers) == (part in tables)
    torch.testing.assert_close(shown(loaded), shown(plain), rtol=1e-5, atol=1e-5)


def test_mistrals_queries_and_keys_are_put_back_as_transformers_does() -> None:
    """llama.cpp's converter interleaves the rows of each head, of which nothing in the shapes tells."""
    config: dict[str, Any] = {
        "model_type": "mistral",
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    processor, moved = LlamaTensorProcessor(config), 0
    for pair in language_gguf_pairs(config):
        rows = 64 if ".attn_q." in pair.original else 32
        tensor = torch.randn(rows, 8, generator=torch.Generator().manual_seed(rows))
        (ours,) = forward(pair, tensor).values()
        peer = processor.process(weights=tensor.numpy(), name=pair.original).weights
        assert torch.equal(ours, torch.from_numpy(peer))
        assert torch.equal(backward(pair, {pair.diffusers[0]: ours}), tensor)
        moved += not torch.equal(ours, tensor)
    assert moved == 2 * config["num_hidden_layers"]
    assert all(pair.form == "same" for pair in language_gguf_pairs({**config, "model_type": "qwen3"}))
