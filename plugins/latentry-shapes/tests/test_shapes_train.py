"""Training resumes exactly, and writes folders that diffusers loads."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from latentry_shapes import _latents, train
from latentry_shapes._latents import BATCH, MASKS, Drawings, encode_drawings
from latentry_shapes._model_folder import export
from latentry_shapes._progress import Report, Show
from latentry_shapes._stage import learning_rate
from latentry_shapes.designs import DESIGNS, Flux, adopt
from latentry_shapes.encoders import TEXT_ENCODERS, TOKENS, States
from latentry_shapes.networks import autoencoder as untrained_autoencoder
from latentry_shapes.scenes import random_scene
from latentry_shapes.text_training import train_text_encoder
from latentry_shapes_inpainting import folder
from latentry_shapes_sd3 import folder as shapes_sd3

pytestmark = pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight")
"""Autocast gives PyTorch's norms bfloat16 input with float32 weights, which warns once per process."""
STEPS, HALF = 4, 2
SIZES: dict[str, Any] = {"steps": STEPS, "batch": 2, "seed": 3, "every": HALF}
Stage = Callable[..., nn.Module]


@contextmanager
def silent(title: str, start: int, total: int) -> Iterator[Report]:
    yield lambda done, note: None


@contextmanager
def interrupted(title: str, start: int, total: int) -> Iterator[Report]:
    """Ctrl-C after half the steps."""

    def report(done: int, note: str) -> None:
        if done == HALF:
            raise KeyboardInterrupt

    yield report


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


def autoencoder(folder: Path, show: Show = silent) -> Any:
    folder.mkdir(exist_ok=True)
    return train.train_autoencoder(folder, **SIZES, show=show)


def text_encoder(folder: Path, show: Show = silent, name: str = "clip") -> nn.Module:
    folder.mkdir(exist_ok=True)
    return train_text_encoder(folder, name, **SIZES, show=show)


def untrained(name: str) -> dict[str, nn.Module]:
    torch.manual_seed(5)
    return {encoder: TEXT_ENCODERS[encoder].build().eval() for encoder in DESIGNS[name].encoders}


def denoiser(folder: Path, show: Show = silent, name: str = "shapes") -> nn.Module:
    folder.mkdir(exist_ok=True)
    rng, design = random.Random(0), DESIGNS[name]
    draws = torch.Generator().manual_seed(0)
    masked = torch.randn(8, MASKS, 1 + design.channels, 16, 16, generator=draws) if design.masked else None
    latents = torch.randn(8, design.channels, 16, 16, generator=draws)
    drawings = Drawings([random_scene(rng) for _ in range(8)], latents, masked)
    start = design.denoiser().eval() if isinstance(design, Flux) and design.starts_from else None
    return train.train_denoiser(folder, name, untrained(name), drawings, start=start, **SIZES, show=show)


@pytest.mark.slow
@pytest.mark.parametrize("stage", [autoencoder, text_encoder, denoiser, partial(denoiser, name="shapes-sd3")])
def test_a_resumed_run_equals_a_straight_one(stage: Stage, tmp_path: Path) -> None:
    straight = stage(tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        stage(tmp_path / "broken", interrupted)
    resumed = stage(tmp_path / "broken")
    assert same(straight, resumed)
    files = [torch.load(next((tmp_path / run).glob("*.pt"))) for run in ("straight", "broken")]
    assert files[0]["step"] == files[1]["step"] == STEPS
    assert all(torch.equal(x, files[1]["module"][key]) for key, x in files[0]["module"].items())


@pytest.mark.slow
def test_an_interrupted_run_is_not_complete(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        autoencoder(tmp_path, interrupted)
    half = torch.load(tmp_path / "autoencoder-4.pt")
    assert half["step"] == HALF
    autoencoder(tmp_path)
    whole = torch.load(tmp_path / "autoencoder-4.pt")
    assert any(not torch.equal(x, whole["module"][key]) for key, x in half["module"].items())


def test_latents_have_unit_deviation_and_are_cached(tmp_path: Path) -> None:
    vae = autoencoder(tmp_path)
    drawings = encode_drawings(vae, tmp_path, count=16, seed=0)
    assert drawings.latents.shape == (16, 4, 16, 16)
    assert len(drawings.scenes) == 16
    assert drawings.masked is None
    assert float(drawings.latents.std()) == pytest.approx(1, abs=1e-3)
    assert vae.config.scaling_factor == pytest.approx(1 / float(torch.load(tmp_path / "latents-4-16-0.pt").std()))
    again = encode_drawings(vae, tmp_path, count=16, seed=0)
    assert torch.equal(again.latents, drawings.latents)
    assert again.scenes == drawings.scenes


def test_partly_named_scenes_are_appended_and_change_nothing_else(tmp_path: Path) -> None:
    vae = untrained_autoencoder(4).eval()
    whole = encode_drawings(vae, tmp_path, count=8, seed=0)
    both = encode_drawings(vae, tmp_path, count=8, seed=0, partly=8)
    assert torch.equal(both.latents[:8], whole.latents)
    assert both.scenes[:8] == whole.scenes
    assert len(both.latents) == len(both.scenes) == 16
    assert all(thing.color and thing.shape for scene in whole.scenes for thing in scene.things)
    assert not all(thing.color and thing.shape for scene in both.scenes[8:] for thing in scene.things)
    assert torch.equal(encode_drawings(vae, tmp_path, count=8, seed=0, partly=8).latents, both.latents)


def test_latents_with_sixteen_channels_also_have_mean_zero(tmp_path: Path) -> None:
    vae = untrained_autoencoder(16).eval()
    latents = encode_drawings(vae, tmp_path, count=8, seed=0).latents
    assert float(latents.mean()) == pytest.approx(0, abs=1e-3)
    assert float(latents.std()) == pytest.approx(1, abs=1e-3)
    raw = torch.load(tmp_path / "latents-16-8-0.pt")
    assert torch.allclose((raw - vae.config.shift_factor) * vae.config.scaling_factor, latents)


@torch.no_grad()
def test_a_masked_picture_is_encoded_as_a_pipeline_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mask of the whole picture leaves gray, whose latents do not depend on the drawing."""
    monkeypatch.setattr(_latents, "random_mask", lambda rng: np.full((64, 64), rng.random() < 0.5))
    vae = untrained_autoencoder(4).eval()
    drawings = encode_drawings(vae, tmp_path, count=16, seed=0, masked=True)
    assert drawings.masked is not None
    masks, left = drawings.masked.flatten(0, 1).tensor_split([1], dim=1)
    whole = masks.flatten(1).all(dim=1)
    grey = vae.encode(torch.zeros(1, 3, 64, 64)).latent_dist.mean * vae.config.scaling_factor
    assert 0 < int(whole.sum()) < len(masks)
    assert torch.allclose(left[whole], grey.expand(int(whole.sum()), -1, -1, -1), atol=1e-5)
    assert not torch.allclose(left[~whole], grey.expand(int((~whole).sum()), -1, -1, -1), atol=1e-2)


@torch.no_grad()
def test_masks_are_at_the_size_of_the_latents(tmp_path: Path) -> None:
    vae = untrained_autoencoder(4).eval()
    masked = encode_drawings(vae, tmp_path, count=32, seed=0, masked=True).masked
    assert masked is not None
    assert masked.shape == (32, MASKS, 5, 16, 16)
    assert set(masked[:, :, 0].unique().tolist()) == {0.0, 1.0}
    assert not torch.equal(masked[:, 0, 0], masked[:, 1, 0])


@pytest.mark.slow
def test_a_masked_picture_is_the_picture_that_the_denoiser_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after the first batch. Masks that cover nothing leave the whole picture."""
    monkeypatch.setattr(_latents, "random_mask", lambda rng: np.full((64, 64), rng.random() < 0))
    vae = untrained_autoencoder(4).eval()
    drawings = encode_drawings(vae, tmp_path, count=BATCH + 8, seed=0, masked=True)
    assert drawings.masked is not None
    for each in range(MASKS):
        assert torch.equal(drawings.masked[:, each, 1:], drawings.latents)


def test_latents_keep_a_scaling_factor_that_is_given(tmp_path: Path) -> None:
    vae = untrained_autoencoder(4).eval()
    vae.register_to_config(scaling_factor=0.5)
    drawings = encode_drawings(vae, tmp_path, count=8, seed=0, rescale=False)
    assert vae.config.scaling_factor == 0.5
    assert torch.equal(drawings.latents, torch.load(tmp_path / "latents-4-8-0.pt") * 0.5)


def test_weights_are_copied_into_a_larger_network_and_the_rest_is_zero() -> None:
    small, large = nn.Conv2d(4, 6, 3), nn.Conv2d(9, 6, 3)
    adopt(large, small.state_dict())
    x = torch.randn(2, 9, 8, 8)
    assert torch.allclose(large(x), small(x[:, :4]), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", DESIGNS)
def test_export_loads_in_diffusers_and_leaves_the_networks_alone(name: str, tmp_path: Path) -> None:
    design, encoders = DESIGNS[name], untrained(name)
    vae, network = untrained_autoencoder(design.channels).eval(), denoiser(tmp_path, name=name)
    modules = (vae, network, *encoders.values())
    before = [weight.clone() for module in modules for weight in module.parameters()]
    export(tmp_path / "model", design, vae, encoders, network)
    after: list[Tensor] = [weight for module in modules for weight in module.parameters()]
    assert all(x.dtype == y.dtype and torch.equal(x, y) for x, y in zip(before, after, strict=True))

    pipeline = getattr(diffusers, design.pipeline).from_pretrained(
        tmp_path / "model", torch_dtype=torch.float32, local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)
    loaded = getattr(pipeline, design.folders()["denoiser"]).state_dict()
    assert all(torch.equal(loaded[key], weight.half().float()) for key, weight in network.state_dict().items())
    options = {} if "t5" not in encoders else {"max_sequence_length": 24}
    inputs: dict[str, Any] = {}
    if design.masked:
        inputs = {"image": torch.zeros(1, 3, 64, 64), "mask_image": torch.ones(1, 1, 64, 64)}
    seed = torch.Generator().manual_seed(0)
    (picture,) = pipeline(
        "a red circle", height=64, width=64, num_inference_steps=2, generator=seed, **options, **inputs
    ).images
    assert picture.size == (64, 64)


@pytest.mark.slow
def test_a_model_that_starts_from_another_is_trained_from_the_command_line(tmp_path: Path) -> None:
    stages = ("autoencoder", "wider", "reader", "denoiser", "further")
    few = [word for stage in stages for word in (f"--{stage}-steps", "1")]
    out = tmp_path / "model"
    assert train.main(["--out", str(out), "--model", "shapes-v", *few, "--pictures", "4", "--batch", "2"]) == 0
    assert (out / "model_index.json").is_file()
    assert (out / "unet" / "diffusion_pytorch_model.safetensors").is_file()
    assert {file.suffix for file in out.rglob("*") if file.is_file()} == {".json", ".safetensors"}
    work = tmp_path / "model-training"
    assert (work / "denoiser-shapes.pt").is_file()
    assert (work / "denoiser-shapes-v.pt").is_file()


@pytest.mark.parametrize(("name", "more"), [("shapes", 0), ("shapes-sdxl", 2), ("shapes-sd3", 2), ("shapes-flux", 2)])
def test_designs_that_learn_from_partly_named_scenes_get_them(
    name: str, more: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenes: list[int] = []

    def train_only(folder: Path, name: str, encoders: Any, drawings: Drawings, **options: Any) -> None:
        scenes.append(len(drawings.scenes))

    monkeypatch.setattr(train, "train_denoiser", train_only)
    args = train._arguments(["--out", str(tmp_path), "--pictures", "4", "--partly-named", "2"])
    train.Training(tmp_path, args).denoiser(name, {}, untrained_autoencoder(DESIGNS[name].channels))
    assert set(scenes) == {4 + more}


@pytest.mark.parametrize(("words", "base"), [([], DESIGNS["shapes-flux-base"].steps), (["--denoiser-steps", "5"], 5)])
def test_a_denoiser_is_trained_for_the_steps_of_the_command_line_or_of_its_design(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], base: int
) -> None:
    trained: dict[str, int] = {}

    def train_only(folder: Path, name: str, *given: Any, steps: int, **options: Any) -> None:
        trained[name] = steps

    monkeypatch.setattr(train, "train_denoiser", train_only)
    monkeypatch.setattr(train, "encode_drawings", lambda *given, **options: None)
    args = train._arguments(["--out", str(tmp_path), *words])
    train.Training(tmp_path, args).denoiser("shapes-flux", {}, untrained_autoencoder(16))
    assert trained == {"shapes-flux-base": base, "shapes-flux": DESIGNS["shapes-flux"].steps}
    assert DESIGNS["shapes"].steps < DESIGNS["shapes-flux-base"].steps


def test_sd3_sometimes_gets_no_t5_states_and_sometimes_another_captions_clip_states() -> None:
    design, count = DESIGNS["shapes-sd3"], 400
    own = torch.arange(1.0, count + 1).view(-1, 1, 1).expand(-1, TOKENS, 8)
    states = [States(own, projected=own[:, 0]) for _ in design.encoders]
    given = design.training_states(states, torch.Generator().manual_seed(0))
    assert all(torch.equal(each.tokens, each.tokens[:, :1, :1].expand_as(own)) for each in given)
    assert all(each.projected is not None and torch.equal(each.projected, own[:, 0]) for each in given)
    captions = [each.tokens[:, 0, 0].long() for each in given]
    clip_l, clip_g, t5 = (each == own[:, 0, 0] for each in captions)
    assert torch.equal(captions[0], captions[1])
    assert bool((clip_l | t5).all())
    assert 0.14 < float((captions[2] == 0).float().mean()) < 0.26
    assert bool((t5 | (captions[2] == 0)).all())
    assert 0.47 < float((~clip_g).float().mean()) < 0.63
    assert set(captions[0][~clip_l].tolist()) <= set(range(1, count + 1))


def test_learning_rate_warms_up_holds_and_falls_to_nothing() -> None:
    rates = [learning_rate(step, 3000, 1.0) for step in (0, 199, 1000, 2399, 2700, 2999)]
    assert rates == pytest.approx([1 / 200, 1, 1, 1, 0.5, 1 / 600])


@pytest.mark.slow
def test_a_finished_model_is_trained_further_from_the_command_line(tmp_path: Path) -> None:
    """The denoiser alone changes. Zero steps change nothing."""
    files = ("unet", "vae", "text_encoder")
    weights: dict[str, list[bytes]] = {}
    for steps in ("0", "1"):
        out = tmp_path / steps
        words = ["--model", "shapes-inpainting", "--start", "shapes-inpainting", "--further-steps", steps]
        assert train.main(["--out", str(out), *words, "--pictures", "4", "--batch", "2"]) == 0
        weights[steps] = [next((out / part).glob("*.safetensors")).read_bytes() for part in files]
    shipped = [next((folder() / part).glob("*.safetensors")).read_bytes() for part in files]
    assert weights["0"] == shipped
    assert weights["1"][1:] == shipped[1:]
    assert weights["1"][0] != shipped[0]
    for config in ("vae/config.json", "unet/config.json", "text_encoder/config.json"):
        assert (tmp_path / "1" / config).read_text() == (folder() / config).read_text()


def test_only_stable_diffusion_models_are_trained_further(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        train.main(["--out", str(tmp_path), "--model", "shapes-flux", "--start", "shapes-flux"])
    assert "--start does not work with --model shapes-flux" in capsys.readouterr().err


@pytest.mark.slow
def test_a_model_is_taught_by_a_shipped_one_from_the_command_line(tmp_path: Path) -> None:
    """It has the teacher's autoencoder, and its denoiser differs from one that learnt from the drawings."""
    weights = []
    for given in (["--teacher", "shapes-sd3"], ["--autoencoder", "shapes-sd3"]):
        out = tmp_path / given[0]
        words = ["--model", "shapes-z-image", "--reader-steps", "1", "--denoiser-steps", "2", "--pictures", "4"]
        assert train.main(["--out", str(out), *words, *given, "--partly-named", "2", "--batch", "2"]) == 0
        assert (
            next((out / "vae").glob("*.safetensors")).read_bytes()
            == next((shapes_sd3() / "vae").glob("*.safetensors")).read_bytes()
        )
        weights.append(next((out / "transformer").glob("*.safetensors")).read_bytes())
    assert weights[0] != weights[1]


@pytest.mark.parametrize("teacher", ["shapes", "shapes-v"])
def test_a_teacher_of_another_kind_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], teacher: str) -> None:
    with pytest.raises(SystemExit):
        train.main(["--out", str(tmp_path), "--model", "shapes-z-image", "--teacher", teacher])
    assert f"{teacher} cannot teach shapes-z-image" in capsys.readouterr().err
