"""What the transformer is given: the prompt, the guidance and, for Fill, the picture."""

from __future__ import annotations

import pytest
import torch
from support.models import PROMPT
from support.models_flux import CLIP_WIDTH, FACTOR, T5_WIDTH
from support.parts import TOKENS

from latentry import OptionError
from latentry.models import PromptSettings
from latentry_flux.model import Flux

SETTINGS = PromptSettings(64, 64, guidance=3.5)


def test_t5s_states_and_clips_summary(model: Flux) -> None:
    """Computed by calling the encoders directly."""
    found = model.encode_prompt([PROMPT, "a star"], SETTINGS)
    assert found["text"].shape == (2, TOKENS, T5_WIDTH)
    assert found["pooled"].shape == (2, CLIP_WIDTH)
    options = {"padding": "max_length", "max_length": TOKENS, "return_tensors": "pt"}
    for (encoder, tokenizer), name, place in ((model.t5, "text", 0), (model.clip, "pooled", 1)):
        expected = encoder(tokenizer([PROMPT, "a star"], **options).input_ids)[place]
        assert torch.allclose(found[name], expected, atol=1e-6)


def test_the_conditioning_has_the_guidance_scale_where_the_network_takes_it(models: dict[str, Flux]) -> None:
    for variant in ("dev", "fill"):
        assert models[variant].encode_prompt(["a", "b"], SETTINGS)["guidance"].tolist() == [3.5, 3.5]
        with pytest.raises(OptionError, match="No guidance scale"):
            models[variant].encode_prompt(["a"], PromptSettings(64, 64))
    assert "guidance" not in models["schnell"].encode_prompt(["a"], PromptSettings(64, 64))


def test_a_prompt_that_is_too_long_for_t5_is_cut_with_one_warning(
    model: Flux, caplog: pytest.LogCaptureFixture
) -> None:
    long = "a red circle " * 30
    assert model.encode_prompt([long, long, "a"], SETTINGS)["text"].shape == (3, TOKENS, T5_WIDTH)
    warnings = [record.getMessage() for record in caplog.records if record.name == "latentry.text"]
    assert len(warnings) == 1
    assert f"first {TOKENS - 1} are ignored" in warnings[0]


def test_fill_is_shown_the_picture_and_every_pixel_of_the_mask(models: dict[str, Flux]) -> None:
    fill = models["fill"]
    pixels = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(3)) * 2 - 1
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 5, 10] = 1.0  # of the latent in row 1 and column 2, its pixel in row 1 and column 2
    shown = fill.inpainting(pixels, mask)
    assert shown["mask"].shape == (1, FACTOR**2, 16, 16)
    assert shown["mask"].nonzero().tolist() == [[0, FACTOR + 2, 1, 2]]
    grey = pixels.clone()
    grey[..., 5, 10] = 0.0
    assert torch.equal(shown["masked"], fill.encode(grey))
    assert not torch.equal(shown["masked"], fill.encode(pixels))
