"""Training goes on where it stopped, bit for bit, and exports what diffusers loads."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from torch import Tensor, nn

from latentry_shapes import train
from latentry_shapes._progress import Report
from latentry_shapes.scenes import random_scene

STEPS, HALF = 4, 2


@contextmanager
def silent(title: str, start: int, total: int) -> Iterator[Report]:
    yield lambda done, note: None


@contextmanager
def interrupted(title: str, start: int, total: int) -> Iterator[Report]:
    """As if someone pressed Ctrl-C after half the steps."""

    def report(done: int, note: str) -> None:
        if done == HALF:
            raise KeyboardInterrupt

    yield report


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


def autoencoder(folder: Path, show: train.Show = silent) -> AutoencoderKL:
    folder.mkdir(exist_ok=True)
    return train.train_autoencoder(folder, steps=STEPS, batch=2, seed=3, every=HALF, show=show)


def denoiser(folder: Path, show: train.Show = silent) -> train.Denoiser:
    folder.mkdir(exist_ok=True)
    rng = random.Random(0)
    scenes = [random_scene(rng) for _ in range(8)]
    latents = torch.randn(8, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    return train.train_denoiser(folder, latents, scenes, steps=STEPS, batch=2, seed=3, every=HALF, show=show)


@pytest.mark.parametrize("stage", [autoencoder, denoiser])
def test_a_resumed_run_equals_a_straight_one(stage: type, tmp_path: Path) -> None:
    straight = stage(tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        stage(tmp_path / "broken", interrupted)
    resumed = stage(tmp_path / "broken")
    assert same(straight, resumed)
    files = [torch.load(next((tmp_path / run).glob("*.pt"))) for run in ("straight", "broken")]
    assert files[0]["step"] == files[1]["step"] == STEPS
    assert all(torch.equal(x, files[1]["module"][key]) for key, x in files[0]["module"].items())


def test_half_a_run_is_not_the_whole(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        autoencoder(tmp_path, interrupted)
    half = torch.load(tmp_path / "autoencoder.pt")
    assert half["step"] == HALF
    autoencoder(tmp_path)
    whole = torch.load(tmp_path / "autoencoder.pt")
    assert any(not torch.equal(x, whole["module"][key]) for key, x in half["module"].items())


def test_latents_have_unit_deviation(tmp_path: Path) -> None:
    vae, kept = autoencoder(tmp_path), tmp_path / "latents.pt"
    latents, scenes = train.encode_drawings(vae, kept, count=16, seed=0)
    assert latents.shape == (16, 4, 16, 16)
    assert len(scenes) == 16
    assert float(latents.std()) == pytest.approx(1, abs=1e-3)
    assert vae.config.scaling_factor != 0.18215
    again, same = train.encode_drawings(vae, kept, count=16, seed=0)
    assert torch.equal(again, latents)
    assert same == scenes


def test_export_loads_in_diffusers_and_leaves_the_networks_alone(tmp_path: Path) -> None:
    vae, network = autoencoder(tmp_path), denoiser(tmp_path)
    before = [weight.clone() for weight in (*vae.parameters(), *network.parameters())]
    train.export(tmp_path / "model", vae, network)
    after: list[Tensor] = [*vae.parameters(), *network.parameters()]
    assert all(x.dtype == y.dtype and torch.equal(x, y) for x, y in zip(before, after, strict=True))

    pipeline = StableDiffusionPipeline.from_pretrained(
        tmp_path / "model", torch_dtype=torch.float32, local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)
    seed = torch.Generator().manual_seed(0)
    (picture,) = pipeline(
        "a red circle left of a blue square", height=64, width=64, num_inference_steps=2, generator=seed
    ).images
    assert picture.size == (64, 64)
    assert torch.equal(pipeline.unet.conv_in.weight, network.unet.conv_in.weight.half().float())
    assert torch.equal(
        pipeline.text_encoder.get_input_embeddings().weight,
        network.text_encoder.get_input_embeddings().weight,
    )


def test_a_model_can_be_trained_from_the_command_line(tmp_path: Path) -> None:
    small = ["--autoencoder-steps", "1", "--denoiser-steps", "1", "--pictures", "4", "--batch", "2"]
    out = tmp_path / "model"
    assert train.main(["--out", str(out), *small]) == 0
    assert (out / "model_index.json").is_file()
    assert (out / "unet" / "diffusion_pytorch_model.safetensors").is_file()
    assert {file.suffix for file in out.rglob("*") if file.is_file()} == {".json", ".safetensors"}
    assert (tmp_path / "model-training" / "denoiser.pt").is_file()


def test_learning_rate_warms_up_holds_and_falls_to_nothing() -> None:
    rates = [train.learning_rate(step, 3000, 1.0) for step in (0, 199, 1000, 2399, 2700, 2999)]
    assert rates == pytest.approx([1 / 200, 1, 1, 1, 0.5, 1 / 600])
