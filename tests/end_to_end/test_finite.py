"""Real networks that overflow or hold NaN: an error that says where, or the autoencoder again in float32."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from support.commandline import CommandLine
from support.models import write_stable_diffusion
from torch import Tensor

from latentry import (
    Engine,
    GenerationRequest,
    GenerationResult,
    MemoryPolicy,
    NonFiniteError,
    PluginHost,
    ProgressEvent,
    read_recipe,
)

UNET = "unet/diffusion_pytorch_model.safetensors"
VAE = "vae/diffusion_pytorch_model.safetensors"
TEXT = "text_encoder/model.safetensors"


@pytest.fixture(scope="module")
def host() -> PluginHost:
    return PluginHost()


def change(file: Path, name: str, edit: Callable[[Tensor], Tensor]) -> None:
    """Replaces the first tensor whose name ends so."""
    tensors = load_file(file)
    found = next(key for key in sorted(tensors) if key.endswith(name))
    tensors[found] = edit(tensors[found].clone())
    save_file(tensors, file, metadata={"format": "pt"})


def draw(
    engine: Engine, model: Path, finished: Callable[[GenerationResult], None] | None = None, **wanted: Any
) -> GenerationResult:
    request = {"prompt": "a red circle", "model": str(model), "seed": 1, "steps": 2, "attention": "native"}
    return engine.generate(GenerationRequest.model_validate(request | wanted), finished=finished)


def one_nan(weight: Tensor) -> Tensor:
    weight.view(-1)[3] = float("nan")
    return weight


@pytest.mark.parametrize(
    ("file", "weight", "where"),
    [
        (UNET, "conv_in.weight", "the denoiser at step 1 of 2"),
        (VAE, "decoder.conv_in.weight", "the autoencoder"),
        (TEXT, "final_layer_norm.weight", "the text encoder, for the prompt 'a red circle'"),
    ],
)
def test_nan_in_a_checkpoint_is_named_with_its_tensor(
    host: PluginHost, tmp_path: Path, file: str, weight: str, where: str
) -> None:
    model = write_stable_diffusion(tmp_path / "sd")
    change(model / file, weight, one_nan)
    with pytest.raises(NonFiniteError) as caught:
        draw(Engine(host), model)
    assert where in caught.value.what
    assert weight in caught.value.why
    assert "download it again" in caught.value.remedy


def test_a_text_encoder_that_overflows_in_half_says_so(host: PluginHost, tmp_path: Path) -> None:
    model = write_stable_diffusion(tmp_path / "sd")
    change(model / TEXT, "mlp.fc2.weight", lambda weight: weight * 1e6 / weight.abs().max() * 0.06)
    assert draw(Engine(host), model).images
    with pytest.raises(NonFiniteError, match="the text encoder") as caught:
        draw(Engine(host), model, dtype="float16")
    assert "float16" in caught.value.why
    assert "text_encoder=float32" in caught.value.remedy
    assert draw(Engine(host), model, dtype="float16", dtypes={"text_encoder": "float32"}).images


@pytest.mark.parametrize("offload", ["none", "model"])
@pytest.mark.parametrize("part", ["decoder.conv_in.weight", "encoder.conv_in.weight"])
def test_an_autoencoder_that_overflows_in_half_runs_again_in_float32(
    host: PluginHost, tmp_path: Path, part: str, offload: str
) -> None:
    model = write_stable_diffusion(tmp_path / "sd")
    change(model / VAE, part, lambda weight: weight / weight.abs().max() * 6e4)
    picture = tmp_path / "picture.png"
    Image.fromarray(np.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(picture)
    wanted: dict[str, Any] = {"init_image": str(picture), "strength": 0.5, "count": 2, "batch": 1}
    engine = Engine(host, MemoryPolicy.model_validate({"offload": offload}))
    half: dict[str, Any] = {"dtype": "float16", "dtypes": {"unet": "float32", "text_encoder": "float32"}}
    given: list[GenerationResult] = []
    found = draw(engine, model, given.append, **half, **wanted)
    assert [image.tobytes() for each in given for image in each.images] == [image.tobytes() for image in found.images]
    assert "The autoencoder overflowed in float16 and was run again in float32." in found.notes
    expected = draw(Engine(host), model, **wanted)
    for image, other in zip(found.images, expected.images, strict=True):
        assert np.abs(np.asarray(image).astype(int) - np.asarray(other)).mean() < 3  # the weights are rounded to half
    again = engine.reproduce(found.recipes[1])
    assert again.images[0].tobytes() == found.images[1].tobytes()
    vae = engine.load(engine.prepare(found.recipes[0].request)).networks["vae"]
    assert {weight.dtype for weight in vae.parameters()} == {torch.float16}


def test_only_the_batch_that_overflows_is_decoded_in_float32(host: PluginHost, tmp_path: Path) -> None:
    """It is handed out before the next batch begins, and no picture depends on the batches beside it."""
    model, engine, told = write_stable_diffusion(tmp_path / "sd"), Engine(host), list[str]()
    wanted = {"count": 3, "batch": 1, "dtype": "float16", "dtypes": {"unet": "float32", "text_encoder": "float32"}}
    plain = draw(engine, model, **wanted)
    loaded: Any = engine.load(engine.prepare(plain.recipes[0].request))
    decoded, original = list[torch.dtype](), loaded.decode

    def overflowing(latents: Tensor) -> Tensor:
        dtype = next(loaded.networks["vae"].parameters()).dtype
        decoded.append(dtype)
        spoilt = dtype == torch.float16 and torch.equal(latents.cpu(), plain.latents[1:2])
        return original(latents) * (float("inf") if spoilt else 1.0)

    loaded.decode = overflowing
    request = plain.recipes[0].request
    found = engine.generate(
        request,
        progress=lambda event: told.append(event.stage) if event.stage == "decode" else None,
        finished=lambda result: told.append(" ".join(("finished", *result.notes))),
    )
    half, full = torch.float16, torch.float32
    assert decoded == [half, half, full, half]
    note = "The autoencoder overflowed in float16 and was run again in float32."
    assert told == ["decode", "finished", "decode", f"finished {note}", "decode", "finished"]
    assert found.notes.count(note) == 1
    same = [now.tobytes() == before.tobytes() for now, before in zip(found.images, plain.images, strict=True)]
    assert same[::2] == [True, True]
    for index in range(3):
        assert engine.reproduce(found.recipes[index]).images[0].tobytes() == found.images[index].tobytes()


def test_of_jobs_that_are_decoded_together_one_overflows(host: PluginHost, tmp_path: Path) -> None:
    """It is decoded again in float32, when the others are out; theirs stay in half."""
    model, engine = write_stable_diffusion(tmp_path / "sd"), Engine(host)
    half: dict[str, Any] = {"dtype": "float16", "dtypes": {"unet": "float32", "text_encoder": "float32"}, "steps": 2}
    wanted = [
        GenerationRequest(prompt="a", model=str(model), attention="native", seed=seed, **half) for seed in range(3)
    ]
    loaded: Any = engine.load(engine.prepare(wanted[0]))
    spoilt, original = engine.generate(wanted[1]).latents, loaded.decode
    rows: list[int] = []

    def overflowing(latents: Tensor) -> Tensor:
        rows.append(len(latents))
        pixels: Tensor = original(latents)
        if next(loaded.networks["vae"].parameters()).dtype == torch.float16:
            near = (latents - spoilt).abs().flatten(1).amax(1) < 1e-3
            pixels = torch.where(near.view(-1, 1, 1, 1), float("inf"), pixels)
        return pixels

    loaded.decode, barrier = overflowing, Barrier(3)

    def meet(event: ProgressEvent) -> None:
        if event.stage == "encode":
            barrier.wait(60)

    jobs = [engine.submit(each, progress=meet) for each in wanted]
    found = [job.result(60) for job in jobs]
    note = "The autoencoder overflowed in float16 and was run again in float32."
    assert max(rows) > 1
    assert [note in each.notes for each in found] == [False, True, False]
    assert all(each.images for each in found)


SECOND_IS_NAN = """
from latentry import Scheduler, SchedulerSpec, SigmaPreference, hookimpl

BEGUN = []

@hookimpl
def latentry_schedulers():
    preference = (SigmaPreference("latentry:trailing", final="table"),)
    yield SchedulerSpec(name="second-is-nan", target="counting:SecondIsNan", summary="For a test.", sigmas=preference)


class SecondIsNan(Scheduler):
    def step(self, x, interval, memory, noise):
        denoised = yield interval.start.query(x)
        following = denoised.at(interval.end).clamp(-1e6, 1e6)  # not linear, so that no table takes this code's place
        if interval.index == 0:
            BEGUN.append(1)
        return following * (float("nan") if len(BEGUN) == 2 else 1.0), memory
"""


def test_the_command_line_saves_what_was_finished(
    latentry: CommandLine, families: Mapping[str, Path], tmp_path: Path
) -> None:
    """The second of three batches fails: the first picture is written, and the exit code is 2."""
    plugin = tmp_path / "counting.py"
    plugin.write_text(SECOND_IS_NAN)
    options = [
        "--plugin-dir",
        plugin,
        "generate",
        "a circle",
        "--model",
        families["sd"],
        "--scheduler",
        "second-is-nan",
    ]
    done = latentry(*options, "--steps", 2, "--count", 3, "--batch", 1, "--output", "out.png", folder=tmp_path)
    assert done.code == 2
    assert "the scheduler at step 1 of 2 are not finite" in done.err
    (picture,) = tmp_path.glob("*.png")
    assert read_recipe(picture).index == 0
