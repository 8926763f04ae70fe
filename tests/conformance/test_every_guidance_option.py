"""Every option of every installed guidance method changes the picture, or is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.models import write_stable_diffusion
from support.option_values import options_of
from support.toy import PLUGIN, write_toy

from latentry import Engine, GenerationRequest, LatentryError, OptionError, PluginHost

ATTENTION = {"perturbed-attention", "smoothed-attention"}
CONTEXTS: dict[str, dict[str, Any]] = {
    "plain": {"guidance": 3.0},
    "late": {"guidance": 3.0, "guidance_interval": (0.5, 1.0)},
    "one step": {"guidance": 3.0, "steps": 1},
    "unguided": {"guidance": 1.0},
}


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(PluginHost(plugin_dirs=[PLUGIN]))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Toys with a prompt on one side of the guidance, and a network whose attention can be changed."""
    folder = tmp_path_factory.mktemp("models")
    toys = {kind: write_toy(folder / kind, kind=kind, variants=["small", "told"]) for kind in ("vp", "flow")}
    return {**toys, "attention": write_stable_diffusion(folder / "sd")}


def _names() -> list[str]:
    host = PluginHost()
    return [name for name in host.guidance if host.guidance.create(name).model_dump()]


def _base(engine: Engine, models: dict[str, Path], name: str, kind: str) -> dict[str, Any]:
    spec = engine.host.guidance[name]
    base: dict[str, Any] = {"prompt": "moon", "seed": 3, "steps": 5, "guidance_method": name, "scheduler": "ddim"}
    if spec.branches & ATTENTION:
        return {**base, "model": str(models["attention"])}
    variant = "small" if "classifier-free" in spec.kinds else "told"
    return {**base, "model": str(models[kind]), "variant": variant, "width": 64, "height": 64}


@pytest.mark.slow
@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("name", _names())
def test_a_methods_option(engine: Engine, models: dict[str, Path], name: str, context: str) -> None:
    base = {**_base(engine, models, name, "flow" if context == "late" else "vp"), **CONTEXTS[context]}
    if (largest := engine.host.guidance[name].largest) is not None:
        base["guidance"] = min(base["guidance"], largest)
    default = engine.host.guidance.create(name)
    try:
        plain = engine.generate(GenerationRequest(**base)).latents
    except LatentryError as error:
        assert context in ("unguided", "late", "one step"), error  # the method itself does nothing
        return
    counts: dict[str, list[bool]] = {}
    for option in options_of(default):
        ((key, value),) = option.items()
        if value == getattr(default, key):
            continue
        try:
            found = engine.generate(GenerationRequest(**base, guidance_options=option)).latents
            counts.setdefault(key, []).append(not found.equal(plain))
        except LatentryError as error:
            counts.setdefault(key, []).append(bool(error.why) or key in str(error))
    assert [key for key, effects in counts.items() if not any(effects)] == []


@pytest.mark.parametrize(
    ("name", "options", "given"),
    [
        ("apg", {"momentum": 0.5}, {"steps": 1}),  # there is no past
        ("scheduled", {"low": 0.01}, {"steps": 1}),  # the only evaluation is far above
    ],
)
def test_an_option_that_changes_nothing_is_refused(
    engine: Engine, models: dict[str, Path], name: str, options: dict[str, Any], given: dict[str, Any]
) -> None:
    base = {**_base(engine, models, name, "flow"), "guidance": 3.0, **given}
    with pytest.raises(OptionError, match=f"{next(iter(options))} in guidance_options has no effect") as caught:
        engine.prepare(GenerationRequest(**base, guidance_options=options))
    assert caught.value.field == "guidance_options"


@pytest.mark.parametrize(
    ("name", "options"), [("apg", {"threshold": 1e6}), ("scheduled", {"high": 1e6}), ("fdg", {"levels": 8})]
)
def test_a_limit_that_is_not_reached_is_taken(
    engine: Engine, models: dict[str, Path], name: str, options: dict[str, Any]
) -> None:
    base = {**_base(engine, models, name, "vp"), "guidance": 3.0}
    setup = engine.prepare(GenerationRequest(**base, guidance_options=options))
    assert setup.request.guidance_options == engine.host.guidance.create(name, **options).model_dump()
    assert engine.prepare(setup.request).request == setup.request
