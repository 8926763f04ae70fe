"""What the transformer is given of a prompt, with T5 and without."""

from __future__ import annotations

import pytest
import torch
from support.models import PROMPT
from support.models_sd3 import T5_WIDTH, WIDTHS
from support.parts import TOKENS

from latentry.models import PromptSettings
from latentry_diffusers.text.clip_skip import ClipConditioning
from latentry_sd3.model import StableDiffusion3

SETTINGS = PromptSettings(64, 64)
CLIP = sum(WIDTHS)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "latentry.text"]


def test_both_clips_stand_side_by_side_and_t5_behind_them(model: StableDiffusion3) -> None:
    found = model.encode_prompt([PROMPT, "a star"], SETTINGS)
    assert found["text"].shape == (2, 2 * TOKENS, T5_WIDTH)
    assert found["pooled"].shape == (2, CLIP)
    clips, t5 = found["text"].split(TOKENS, dim=1)
    assert (clips[..., CLIP:] == 0).all()
    for each in (clips[..., : WIDTHS[0]], clips[..., WIDTHS[0] : CLIP], t5):
        assert float(each.std()) > 0.1


def test_each_encoder_is_seen_where_it_belongs(model: StableDiffusion3) -> None:
    """Computed by calling the encoders directly."""
    found = model.encode_prompt([PROMPT], SETTINGS)
    at = 0
    for (encoder, tokenizer), width in zip(model.clips, WIDTHS, strict=True):
        ids = tokenizer(PROMPT, padding="max_length", max_length=TOKENS, return_tensors="pt").input_ids
        out = encoder(ids, output_hidden_states=True)
        assert torch.allclose(found["text"][:, :TOKENS, at : at + width], out.hidden_states[-2], atol=1e-6)
        assert torch.allclose(found["pooled"][:, at : at + width], out.text_embeds, atol=1e-6)
        at += width
    assert model.t5 is not None
    ids = model.t5.tokenizer(PROMPT, padding="max_length", max_length=TOKENS, return_tensors="pt").input_ids
    expected = model.t5.encoder(ids).last_hidden_state
    assert torch.allclose(found["text"][:, TOKENS:], expected, atol=1e-6)


def test_zeros_take_the_place_of_t5(without_t5: StableDiffusion3) -> None:
    found = without_t5.encode_prompt([PROMPT, "a"], SETTINGS)
    assert found["text"].shape == (2, TOKENS + 256, T5_WIDTH)
    assert (found["text"][:, TOKENS:] == 0).all()
    assert found["text"][:, :TOKENS, :CLIP].std() > 0.1
    x = torch.randn(2, 16, 16, 16, generator=torch.Generator().manual_seed(1))
    assert without_t5.predict(x, 500.0, found).shape == x.shape


def test_clip_skip_takes_an_earlier_layer_of_both_clips(model: StableDiffusion3) -> None:
    plain = model.encode_prompt([PROMPT], SETTINGS)
    skipped = model.encode_prompt([PROMPT], PromptSettings(64, 64, own=ClipConditioning(clip_skip=1)))
    encoder, tokenizer = model.clips[1]
    ids = tokenizer(PROMPT, padding="max_length", max_length=TOKENS, return_tensors="pt").input_ids
    expected = encoder(ids, output_hidden_states=True).hidden_states[-3]
    assert torch.allclose(skipped["text"][:, :TOKENS, WIDTHS[0] : CLIP], expected, atol=1e-6)
    assert not torch.allclose(skipped["text"][:, :TOKENS, : WIDTHS[0]], plain["text"][:, :TOKENS, : WIDTHS[0]])
    assert torch.equal(skipped["text"][:, TOKENS:], plain["text"][:, TOKENS:])
    assert torch.equal(skipped["pooled"], plain["pooled"])


def test_emphasis_reaches_every_encoder(model: StableDiffusion3) -> None:
    """A weight w moves a state to e + w·(s − e), so weights 0, 1 and 2 lie on a line."""
    none, plain, double = (model.encode_prompt([f"a (red:{w}) circle"], SETTINGS)["text"] for w in (0, 1, 2))
    assert torch.allclose(double - plain, plain - none, atol=1e-5)
    assert torch.equal(plain, model.encode_prompt(["a red circle"], SETTINGS)["text"])
    moved = (double - plain).abs().amax(-1)[0]
    assert (moved[[2, TOKENS + 1]] > 0.1).all()  # "red" comes second, after CLIP's beginning
    assert int((moved > 1e-5).sum()) == 2


def test_a_prompt_that_is_too_long_for_t5_is_cut_with_one_warning(
    model: StableDiffusion3, caplog: pytest.LogCaptureFixture
) -> None:
    long = "a red circle " * 30
    states = model.encode_prompt([long, long, "a"], SETTINGS)["text"]
    assert states.shape == (3, 2 * TOKENS, T5_WIDTH)
    assert len(warnings(caplog)) == 1
    assert f"first {TOKENS - 1} are ignored" in warnings(caplog)[0]


def test_without_t5_clips_window_is_the_limit(without_t5: StableDiffusion3, caplog: pytest.LogCaptureFixture) -> None:
    long = "a red circle " * 30
    cut = without_t5.encode_prompt([long], SETTINGS)["text"]
    assert len(warnings(caplog)) == 1
    assert f"first {TOKENS - 2} are ignored" in warnings(caplog)[0]
    assert torch.equal(cut, without_t5.encode_prompt([long + "a blue square"], SETTINGS)["text"])
