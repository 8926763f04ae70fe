"""An option that is given has an effect, or is refused: those that need another option."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from support.commandline import fresh

from latentry import Engine, GenerationRequest, ModelError, PluginHost
from latentry._cli._commands._generate import generate
from latentry._cli._field_options import FieldCommand, FieldOption

VALUES = {
    "switch": "0.5",
    "guidance_options": "momentum=-0.5",
    "guidance_model": "other",
    "skip_layer_scale": "3",
    "skip_layer_interval": "0,0.5",
    "lora_mode": "merged",
    "control_preprocess": "canny",
    "strength": "0.5",
    "strength_mode": "full",
    "mask": "mask.png",
    "mask_feather": "4",
    "upscale_strength": "0.4",
    "upscale_steps": "5",
    "upscale_mode": "latent",
    "denoise_overlap": "8",
    "blocks_per_group": "2",
    "prefetch": "",
}


def needing() -> dict[str | None, FieldOption]:
    assert isinstance(generate, FieldCommand)
    return {option.name: option for option in generate.field_options if option.needs}


def test_every_option_that_needs_another_is_tried() -> None:
    assert set(needing()) == set(VALUES)


@pytest.mark.parametrize("name", VALUES)
def test_it_is_refused_alone(name: str, tmp_path: Path) -> None:
    option = needing()[name]
    typed = [option.opts[0], *filter(None, [VALUES[name]])]
    done = fresh("generate", "a", *typed, folder=tmp_path)
    assert done.code == 2
    assert done.err.startswith(f"error: {' '.join(typed)}: it has no effect without --")


def test_groups_of_blocks_are_refused_where_whole_networks_move(tmp_path: Path) -> None:
    done = fresh("generate", "a", "--offload", "model", "--blocks-per-group", "2", folder=tmp_path)
    assert done.code == 2
    assert done.err.startswith("error: --blocks-per-group 2: it must be left out: offload is model")


def test_a_strength_mode_needs_a_picture_and_no_strength(tmp_path: Path) -> None:
    """The picture is missing here: what is refused is the file, and not the mode."""
    done = fresh("generate", "a", "--init-image", "none.png", "--strength-mode", "full", folder=tmp_path)
    assert (done.code, "none.png" in done.err, "no effect" in done.err) == (2, True, False)


def test_a_tokenizer_that_no_text_encoder_takes_is_refused(families: Mapping[str, Path]) -> None:
    engine = Engine(PluginHost())
    t5, clip = families["sd3"] / "tokenizer_3", families["sd3"] / "tokenizer"
    for given, taken in ((t5, False), (clip, True), (families["sd3"], True)):
        request = GenerationRequest(prompt="a", model=str(families["sd"]), tokenizer=str(given))
        if taken:
            assert engine.prepare(request).located.files.parts == (("tokenizer", given.resolve()),)
            continue
        with pytest.raises(ModelError, match="takes a tokenizer from") as caught:
            engine.prepare(request)
        assert (caught.value.field, "clip" in caught.value.why) == ("tokenizer", True)


def test_an_absurd_weight_of_a_lora_is_refused_with_the_bound(tmp_path: Path) -> None:
    done = fresh("generate", "a", "--lora", "some.safetensors:1e30", folder=tmp_path)
    assert (done.code, done.err) == (2, "error: --lora some.safetensors:1e30: it must be at most 100.\n")
