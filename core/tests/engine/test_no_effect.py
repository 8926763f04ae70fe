"""Every option of a request has an effect, or is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.toy import write_toy

from latentry import Engine, GenerationRequest, OptionError, PluginHost
from latentry._request._values._option import declared_options

PICTURE = Image.new("RGB", (32, 32), (200, 30, 40))
MASK = Image.new("L", (32, 32), 255)

USELESS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "sigma options with levels": ({"sigmas": (3.0, 1.0), "sigma_options": {"rho": 5}}, {}, "sigma_options"),
    "a shift with levels": ({"sigmas": (3.0, 1.0), "sigma_options": {"shift": 3.0}}, {}, "sigma_options"),
    "a switch without a refiner": ({"switch": 0.5}, {}, "switch"),
    "a LoRA mode without LoRAs": ({"lora_mode": "merged"}, {}, "lora_mode"),
    "a strength without a picture": ({"strength": 0.5}, {}, "strength"),
    "a strength mode without a picture": ({"strength_mode": "full"}, {}, "strength_mode"),
    "a strength mode where all steps are taken": (
        {"strength": 1.0, "strength_mode": "full"},
        {"init_image": PICTURE},
        "strength_mode",
    ),
    "a strength mode at inpainting's own strength": (
        {"strength_mode": "full"},
        {"init_image": PICTURE, "mask": MASK},
        "strength_mode",
    ),
    "a mask without a picture": ({}, {"mask": MASK}, "init_image"),
    "a feather without a mask": ({"mask_feather": 3}, {"init_image": PICTURE}, "mask_feather"),
    "a noise scale with a picture": ({"initial_noise": "sigma"}, {"init_image": PICTURE}, "initial_noise"),
    "a skip-layer scale without layers": ({"skip_layer_scale": 2.0}, {}, "skip_layer_scale"),
    "a skip-layer interval without layers": ({"skip_layer_interval": (0.0, 0.5)}, {}, "skip_layer_interval"),
    "layers skipped by nothing": ({"skip_layers": (1,), "skip_layer_scale": 0.0}, {}, "skip_layers"),
    "layers skipped at no step": ({"skip_layers": (1,), "skip_layer_interval": (0.9, 0.95)}, {}, "skip_layers"),
    "a negative prompt without guidance": ({"negative": "grey", "guidance": 1.0}, {}, "negative"),
    "rescaling without guidance": ({"guidance_rescale": 0.5, "guidance": 1.0}, {}, "guidance_rescale"),
    "an interval without guidance": ({"guidance_interval": (0.0, 0.5), "guidance": 1.0}, {}, "guidance_interval"),
    "an interval without a step": ({"guidance_interval": (0.9, 0.95)}, {}, "guidance_interval"),
    "options of attention that does not serve": (
        {"attention": "native", "attention_options": {"able": {"x": 1}}},
        {},
        "attention_options",
    ),
    "conditioning of a family without": ({"conditioning": {"crop": 3}}, {}, ""),
}


@pytest.mark.parametrize("what", USELESS)
def test_an_option_without_effect_is_refused(host: PluginHost, tmp_path: Path, what: str) -> None:
    wanted, pictures, field = USELESS[what]
    model = str(write_toy(tmp_path / "model", variants=["layered"], layers=4, fails="loading"))
    with pytest.raises(OptionError) as caught:
        Engine(host).generate(GenerationRequest(prompt="a", model=model, steps=4, **wanted), **pictures)
    assert (caught.value.field or "") == field
    assert caught.value.remedy


USEFUL: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "strength_mode": ({"strength": 0.5, "strength_mode": "full"}, {"init_image": PICTURE}),
    "strength_mode at the task's own strength": ({"strength_mode": "full"}, {"init_image": PICTURE}),
    "mask_feather": ({"mask_feather": 3}, {"init_image": PICTURE, "mask": MASK}),
    "initial_noise": ({"initial_noise": "sigma"}, {}),
    "guidance_rescale": ({"guidance_rescale": 0.5}, {}),
    "guidance_interval": ({"guidance_interval": (0.0, 0.5)}, {}),
    "negative": ({"negative": "grey"}, {}),
    "skip_layers": ({"skip_layers": (1,), "skip_layer_interval": (0.0, 0.5), "skip_layer_scale": 1.0}, {}),
    "sigma_options": ({"sigmas": "karras", "sigma_options": {"rho": 5}}, {}),
}


@pytest.mark.parametrize("what", USEFUL)
def test_an_option_with_an_effect_is_accepted(host: PluginHost, tmp_path: Path, what: str) -> None:
    wanted, pictures = USEFUL[what]
    model = str(write_toy(tmp_path / "model", variants=["layered"], layers=4))
    setup = Engine(host).prepare(GenerationRequest(prompt="a", model=model, steps=4, **wanted), **pictures)
    assert not [note for note in setup.notes if "no effect" in note]


@pytest.mark.parametrize("field", [name for name, option in declared_options(GenerationRequest) if option.needs])
def test_every_option_that_needs_another_is_refused_without_it(host: PluginHost, tmp_path: Path, field: str) -> None:
    others: dict[str, Any] = {
        "mask": str(tmp_path / "mask.png"),
        "strength": 0.5,
        "lora_mode": "merged",
        "strength_mode": "full",
    }
    MASK.save(tmp_path / "mask.png")
    others |= {"mask_feather": 3, "switch": 0.5, "skip_layer_interval": (0.0, 0.5), "guidance_options": {"part": 0.2}}
    others |= {
        "guidance_model": "weak",
        "upscale_mode": "latent",
        "upscale_strength": 0.4,
        "control_preprocess": "canny",
    }
    value = others.get(field, 2.0)
    model = str(write_toy(tmp_path / "model", variants=["layered"], layers=4, fails="loading"))
    with pytest.raises(OptionError):
        Engine(host).generate(GenerationRequest(prompt="a", model=model, steps=4, **{field: value}))


def test_a_recipe_of_an_earlier_version_may_have_one(engine: Engine, model: str) -> None:
    """Then it was allowed, and the picture is the same without it."""
    result = engine.generate(GenerationRequest(prompt="a", model=model, seed=1, steps=3, guidance=1.0))
    recipe = result.recipes[0]
    old = recipe.model_copy(update={"request": recipe.request.model_copy(update={"negative": "grey"})})
    again = engine.reproduce(old)
    assert again.images[0].tobytes() == result.images[0].tobytes()
    assert "The option negative has no effect here. The guidance scale is 1." in again.notes
