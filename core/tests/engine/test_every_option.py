"""An option that is given has an effect, or is refused: every field of a request in every kind of context.

Values are made from the fields' own types and bounds and from the options that records' targets have, so that a field
that is added to the request is tried without a word here.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.option_values import of_type, options_of
from support.toy import write_toy, write_toy_file

from latentry import (
    Curve,
    EmbeddingRequest,
    Engine,
    GenerationRequest,
    LatentryError,
    LoraRequest,
    OptionError,
    PluginHost,
)
from latentry._resolve._setup import Setup

TASKS: dict[str, tuple[str, ...]] = {
    "text to image": (),
    "image to image": ("init_image",),
    "inpainting": ("init_image", "mask"),
}
VARIANTS = ("small", "fast", "told", "layered")
"""Classifier-free guidance, none, distilled, and with layers that can be skipped."""
SCHEDULERS = ("first", "two-stage", "noisy", "halving", "greedy")
"""One evaluation a step, two, with noise, with steps of its own choice, and one that needs the unguided output."""
KINDS = ("vp", "flow")
HARMLESS = {
    "prompt": "is always given",
    "offline": "is a promise that nothing is contacted, which is kept for files on this machine as well",
    "fast": "allows another order of additions, which is compared in its own tests",
    "capture": "says how the network's operations are run, and gives the same bits or is compared in its own tests",
}
"""Fields that may be given without an effect, and why."""


@dataclass(frozen=True)
class Context:
    """One kind of request."""

    task: str
    variant: str
    scheduler: str
    kind: str

    def __str__(self) -> str:
        return f"{self.task}, {self.variant}, {self.scheduler}, {self.kind}"


def contexts() -> Iterator[Context]:
    """Every task with every variant, and every scheduler on every kind of model; the others take turns."""
    for number, (task, variant) in enumerate((task, variant) for task in TASKS for variant in VARIANTS):
        yield Context(task, variant, SCHEDULERS[number % len(SCHEDULERS)], KINDS[number // 2 % 2])
    for number, (scheduler, kind) in enumerate((scheduler, kind) for scheduler in SCHEDULERS for kind in KINDS):
        yield Context([*TASKS][number % 3], VARIANTS[number // 3 % 4], scheduler, kind)


@dataclass(frozen=True)
class Place:
    """An engine, and files to name."""

    engine: Engine
    folder: Path

    def request(self, context: Context, **given: Any) -> GenerationRequest:
        files = {name: str(self.folder / f"{name}.png") for name in TASKS[context.task]}
        model = str(self.folder / context.kind)
        settings = {"model": model, "variant": context.variant, "scheduler": context.scheduler, **files}
        return GenerationRequest(**{"prompt": "a", "seed": 3, "count": 3, "steps": 5, **settings, **given})

    def outcome(self, request: GenerationRequest) -> tuple[Any, ...]:
        """Everything that a request changes: pixels, calls of the network, and what families and devices are given."""
        setup = self.engine.prepare(request)
        model: Any = self.engine.load(setup)
        for kept in (model.calls, model.encoded, model.worn):
            kept.clear()
        result = self.engine.generate(request)
        files, memory = setup.located.files, setup.memory
        return (
            [image.tobytes() for image in result.images],
            result.latents.tolist(),
            (list(model.calls), list(model.worn)),
            (files.path, files.parts, files.config, files.without, setup.located.variant.name),
            (
                setup.dtype,
                setup.prompt_settings(negative=False).guidance,
                setup.attention,
                memory.tile,
                memory.slicing,
                memory.dtypes,
            ),
        )


@pytest.fixture(scope="module")
def place(host: PluginHost, tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("every-option")
    for kind in KINDS:
        write_toy(folder / kind, kind=kind, variants=list(VARIANTS), layers=4)
        write_toy(folder / f"other-{kind}", kind=kind, variants=list(VARIANTS), layers=4, pale=0.5)
        write_toy_file(folder / f"{kind}.safetensors", kind=kind)
    Image.effect_noise((32, 32), 60).convert("RGB").save(folder / "init_image.png")
    Image.radial_gradient("L").resize((32, 32)).convert("RGB").save(folder / "other.png")
    mask = Image.new("L", (32, 32), 0)
    mask.paste(255, (0, 0, 16, 32))
    mask.save(folder / "mask.png")
    (folder / "lora.safetensors").write_text('{"parts": ["unet"]}')
    return Place(Engine(host), folder)


def values(place: Place, setup: Setup, name: str) -> list[Any]:
    """Values for a field: from what is installed, from files, or else from its type and bounds."""
    host, folder = place.engine.host, place.folder
    kind = setup.checkpoint.noise.process.kind
    file, other = str(folder / f"{kind}.safetensors"), str(folder / f"other-{kind}")
    named: dict[str, list[Any]] = {
        "model": [other],
        "refiner": [other],
        "guidance_model": [other],
        "variant": [variant.name for variant in host.families[setup.located.family].variants],
        "vae": [file],
        "text_encoders": [(file,)],
        "tokenizer": [other],
        "config": [other],
        "scheduler": list(host.schedulers),
        "sigmas": [*host.sigma_schedules, (0.9, 0.4)],
        "guidance_method": list(host.guidance),
        "attention": list(host.attention_backends),
        "init_image": [str(folder / "other.png")],
        "mask": [str(folder / "mask.png")],
        "loras": [(LoraRequest(path=str(folder / "lora.safetensors"), weight=w),) for w in (0.5, "0@0,1@1")],
        "guidance": [0.3, 1.0, 4.0, Curve.parse("1@0,3@1")],
        "embeddings": [(EmbeddingRequest(name="a", path=str(folder / "lora.safetensors")),)],
        "scheduler_options": list(options_of(setup.plan.scheduler)),
        "sigma_options": list(options_of(host.sigma_schedules.load(setup.request.sigmas)())),
        "guidance_options": [{"momentum": 0.5}],
        "conditioning": [{"clip_skip": 1}],
        "attention_options": [{backend: {"x": 1}} for backend in host.attention_backends],
        "device": ["cpu", "cuda", "mps"],
        "step_cache": ["deep:2"],
        "negative": ["grey and more"],
        "prompt": ["b"],
    }
    if name in named:
        return named[name]
    field = GenerationRequest.model_fields[name]
    return list(of_type(field.annotation, field.metadata, random.Random(name)))


def useless(place: Place, context: Context) -> list[str]:
    """The options that were accepted and changed nothing, with any of their values."""
    base = place.engine.prepare(place.request(context))
    before = place.outcome(place.request(context))
    assert place.outcome(base.request) == before  # what was decided can be asked for
    found = []
    for name in GenerationRequest.model_fields:
        if name in HARMLESS:
            continue
        tried: dict[str, list[bool]] = {}
        for value in values(place, base, name):
            part = f"{name}.{next(iter(value))}" if isinstance(value, dict) else name
            if value in (getattr(base.request, name), GenerationRequest.model_fields[name].default):
                continue
            tried.setdefault(part, []).append(_counts(place, context, before, name, value))
        found += [part for part, effects in tried.items() if not any(effects)]
    return found


def _counts(place: Place, context: Context, before: tuple[Any, ...], name: str, value: Any) -> bool:
    """Whether a value changes the outcome, or is refused with a reason."""
    try:
        return place.outcome(place.request(context, **{name: value})) != before
    except LatentryError as error:
        assert error.why or error.remedy, error
        return True
    except ValueError as error:
        assert name in str(error), error  # pydantic's, which names the field
        return True


CONTEXTS = list(contexts())


@pytest.mark.slow
@pytest.mark.parametrize("context", CONTEXTS[:2] + CONTEXTS[-2:], ids=str)
def test_every_option_counts_or_is_refused(place: Place, context: Context) -> None:
    assert useless(place, context) == []


@pytest.mark.slow
@pytest.mark.parametrize("context", CONTEXTS[2:-2], ids=str)
def test_every_option_counts_or_is_refused_everywhere(place: Place, context: Context) -> None:
    assert useless(place, context) == []


def test_the_contexts_cover_every_pair() -> None:
    pairs = {(c.task, c.variant) for c in CONTEXTS} | {(c.scheduler, c.kind) for c in CONTEXTS}
    assert len(pairs) == len(TASKS) * len(VARIANTS) + len(SCHEDULERS) * len(KINDS)


def test_every_field_is_tried(place: Place) -> None:
    base = place.engine.prepare(place.request(CONTEXTS[0]))
    tried = {name for name in GenerationRequest.model_fields if values(place, base, name)}
    # toys have no options of their own, and the core's trailing schedule has one
    assert set(GenerationRequest.model_fields) - tried <= {"scheduler_options"}


def test_a_batch_that_cannot_be_kept_is_refused(place: Place) -> None:
    """The default is only told about; one picture at a time is what is drawn anyway."""
    context = Context("text to image", "small", "halving", "vp")
    with pytest.raises(OptionError, match="The option batch has no effect here") as caught:
        place.engine.prepare(place.request(context, batch=2))
    assert "one at a time" in caught.value.why
    for given, told in (({}, True), ({"batch": 1}, False), ({"batch": 2, "count": 1}, False)):
        notes = place.engine.prepare(place.request(context, **given)).notes
        assert any("one at a time" in note for note in notes) == told


def test_a_recipe_with_such_a_batch_is_drawn_again_and_told(place: Place) -> None:
    context = Context("text to image", "small", "halving", "vp")
    recipe = place.engine.generate(place.request(context)).recipes[1]
    old = recipe.model_copy(update={"request": recipe.request.model_copy(update={"batch": 2})})
    again = place.engine.reproduce(old)
    assert again.images[0].tobytes() == place.engine.reproduce(recipe).images[0].tobytes()
    assert sum("one at a time" in note for note in again.notes) == 1
