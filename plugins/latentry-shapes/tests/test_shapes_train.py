"""Training goes on where it stopped, bit for bit, and exports what diffusers loads."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor, nn

from latentry_shapes import train
from latentry_shapes._export import export
from latentry_shapes._latents import Drawings, encode_drawings, masks
from latentry_shapes._progress import Report, Show
from latentry_shapes._stage import learning_rate
from latentry_shapes.designs import DESIGNS, Flux, adopt
from latentry_shapes.encoders import TEXT_ENCODERS, TOKENS, States
from latentry_shapes.networks import autoencoder as untrained_autoencoder
from latentry_shapes.reading import train_reader
from latentry_shapes.scenes import random_scene

pytestmark = pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight")
"""Autocast gives torch's norms bfloat16 with float32 weights; it says so once a process."""
STEPS, HALF = 4, 2
SIZES: dict[str, Any] = {"steps": STEPS, "batch": 2, "seed": 3, "every": HALF}
Stage = Callable[..., nn.Module]


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


def autoencoder(folder: Path, show: Show = silent) -> Any:
    folder.mkdir(exist_ok=True)
    return train.train_autoencoder(folder, **SIZES, show=show)


def reader(folder: Path, show: Show = silent, name: str = "clip") -> nn.Module:
    folder.mkdir(exist_ok=True)
    return train_reader(folder, name, **SIZES, show=show)


def untaught(name: str) -> dict[str, nn.Module]:
    torch.manual_seed(5)
    return {encoder: TEXT_ENCODERS[encoder].build().eval() for encoder in DESIGNS[name].encoders}


def denoiser(folder: Path, show: Show = silent, name: str = "shapes") -> nn.Module:
    folder.mkdir(exist_ok=True)
    rng, design = random.Random(0), DESIGNS[name]
    draws = torch.Generator().manual_seed(0)
    around = torch.randn(8, design.channels + 1, 16, 16, generator=draws) if design.masked else None
    latents = torch.randn(8, design.channels, 16, 16, generator=draws)
    drawings = Drawings([random_scene(rng) for _ in range(8)], latents, around)
    start = design.denoiser().eval() if isinstance(design, Flux) and design.begins_with else None
    return train.train_denoiser(folder, name, untaught(name), drawings, start=start, **SIZES, show=show)


@pytest.mark.parametrize("stage", [autoencoder, reader, denoiser, partial(denoiser, name="shapes-sd3")])
def test_a_resumed_run_equals_a_straight_one(stage: Stage, tmp_path: Path) -> None:
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
    half = torch.load(tmp_path / "autoencoder-4.pt")
    assert half["step"] == HALF
    autoencoder(tmp_path)
    whole = torch.load(tmp_path / "autoencoder-4.pt")
    assert any(not torch.equal(x, whole["module"][key]) for key, x in half["module"].items())


def test_latents_have_unit_deviation_and_are_kept(tmp_path: Path) -> None:
    vae = autoencoder(tmp_path)
    drawings = encode_drawings(vae, tmp_path, count=16, seed=0)
    assert drawings.latents.shape == (16, 4, 16, 16)
    assert len(drawings.scenes) == 16
    assert drawings.around is None
    assert float(drawings.latents.std()) == pytest.approx(1, abs=1e-3)
    assert vae.config.scaling_factor == pytest.approx(1 / float(torch.load(tmp_path / "latents-4-16-0.pt").std()))
    again = encode_drawings(vae, tmp_path, count=16, seed=0)
    assert torch.equal(again.latents, drawings.latents)
    assert again.scenes == drawings.scenes


def test_half_said_scenes_come_behind_and_leave_the_others_as_they_are(tmp_path: Path) -> None:
    vae = untrained_autoencoder(4).eval()
    whole = encode_drawings(vae, tmp_path, count=8, seed=0)
    both = encode_drawings(vae, tmp_path, count=8, seed=0, halves=8)
    assert torch.equal(both.latents[:8], whole.latents)
    assert both.scenes[:8] == whole.scenes
    assert len(both.latents) == len(both.scenes) == 16
    assert all(thing.color and thing.shape for scene in whole.scenes for thing in scene.things)
    assert not all(thing.color and thing.shape for scene in both.scenes[8:] for thing in scene.things)
    assert torch.equal(encode_drawings(vae, tmp_path, count=8, seed=0, halves=8).latents, both.latents)


def test_latents_of_sixteen_channels_are_centred_too(tmp_path: Path) -> None:
    vae = untrained_autoencoder(16).eval()
    latents = encode_drawings(vae, tmp_path, count=8, seed=0).latents
    assert float(latents.mean()) == pytest.approx(0, abs=1e-3)
    assert float(latents.std()) == pytest.approx(1, abs=1e-3)
    raw = torch.load(tmp_path / "latents-16-8-0.pt")
    assert torch.allclose((raw - vae.config.shift_factor) * vae.config.scaling_factor, latents)


@torch.no_grad()
def test_what_a_mask_leaves_is_what_a_pipeline_would_encode(tmp_path: Path) -> None:
    """A whole mask leaves grey, whose latents are the same whatever was drawn."""
    vae = untrained_autoencoder(4).eval()
    drawings = encode_drawings(vae, tmp_path, count=32, seed=0, masked=True)
    assert drawings.around is not None
    hole, left = drawings.around[:, :1], drawings.around[:, 1:]
    assert set(hole.unique().tolist()) == {0.0, 1.0}
    whole = hole.flatten(1).all(dim=1)
    grey = vae.encode(torch.zeros(1, 3, 64, 64)).latent_dist.mean * vae.config.scaling_factor
    assert 0 < int(whole.sum()) < 32
    assert torch.allclose(left[whole], grey.expand(int(whole.sum()), -1, -1, -1), atol=1e-5)
    assert not torch.allclose(left[~whole], grey.expand(int((~whole).sum()), -1, -1, -1), atol=1e-2)


def test_masks_keep_to_the_grid_of_the_latents() -> None:
    made = masks(50, random.Random(0))
    small = torch.nn.functional.interpolate(made, (16, 16))
    assert torch.equal(torch.nn.functional.interpolate(small, (64, 64)), made)


def test_weights_are_taken_over_as_far_as_they_reach() -> None:
    small, large = nn.Conv2d(4, 6, 3), nn.Conv2d(9, 6, 3)
    adopt(large, small.state_dict())
    x = torch.randn(2, 9, 8, 8)
    assert torch.allclose(large(x), small(x[:, :4]), atol=1e-6)


@pytest.mark.parametrize("name", DESIGNS)
def test_export_loads_in_diffusers_and_leaves_the_networks_alone(name: str, tmp_path: Path) -> None:
    design, encoders = DESIGNS[name], untaught(name)
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
    told = {} if "t5" not in encoders else {"max_sequence_length": 24}
    shown: dict[str, Any] = {}
    if design.masked:
        shown = {"image": torch.zeros(1, 3, 64, 64), "mask_image": torch.ones(1, 1, 64, 64)}
    seed = torch.Generator().manual_seed(0)
    (picture,) = pipeline(
        "a red circle", height=64, width=64, num_inference_steps=2, generator=seed, **told, **shown
    ).images
    assert picture.size == (64, 64)


def test_a_model_that_begins_with_another_is_trained_from_the_command_line(tmp_path: Path) -> None:
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
def test_a_design_that_learns_from_half_said_scenes_has_them_drawn(
    name: str, more: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenes: list[int] = []

    def learn(folder: Path, name: str, encoders: Any, drawings: Drawings, **options: Any) -> None:
        scenes.append(len(drawings.scenes))

    monkeypatch.setattr(train, "train_denoiser", learn)
    args = train._arguments(["--out", str(tmp_path), "--pictures", "4", "--halves", "2"])
    train.Training(tmp_path, args).denoiser(name, {}, untrained_autoencoder(DESIGNS[name].channels))
    assert set(scenes) == {4 + more}


@pytest.mark.parametrize(("words", "base"), [([], DESIGNS["shapes-flux-base"].steps), (["--denoiser-steps", "5"], 5)])
def test_a_denoiser_learns_as_long_as_is_asked_or_as_its_design_wants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], base: int
) -> None:
    learnt: dict[str, int] = {}

    def learn(folder: Path, name: str, *given: Any, steps: int, **options: Any) -> None:
        learnt[name] = steps

    monkeypatch.setattr(train, "train_denoiser", learn)
    monkeypatch.setattr(train, "encode_drawings", lambda *given, **options: None)
    args = train._arguments(["--out", str(tmp_path), *words])
    train.Training(tmp_path, args).denoiser("shapes-flux", {}, untrained_autoencoder(16))
    assert learnt == {"shapes-flux-base": base, "shapes-flux": args.further_steps}
    assert DESIGNS["shapes"].steps < DESIGNS["shapes-flux-base"].steps


def test_sd3_is_at_times_told_nothing_by_t5_and_at_others_another_caption_by_the_clips() -> None:
    design, count = DESIGNS["shapes-sd3"], 400
    own = torch.arange(1.0, count + 1).view(-1, 1, 1).expand(-1, TOKENS, 8)
    told = [States(own, projected=own[:, 0]) for _ in design.encoders]
    lesson = design.lesson(told, torch.Generator().manual_seed(0))
    assert all(torch.equal(each.tokens, each.tokens[:, :1, :1].expand_as(own)) for each in lesson)
    assert all(each.projected is not None and torch.equal(each.projected, own[:, 0]) for each in lesson)
    said = [each.tokens[:, 0, 0].long() for each in lesson]
    clip_l, clip_g, t5 = (each == own[:, 0, 0] for each in said)
    assert torch.equal(said[0], said[1])
    assert bool((clip_l | t5).all())
    assert 0.14 < float((said[2] == 0).float().mean()) < 0.26
    assert bool((t5 | (said[2] == 0)).all())
    assert 0.47 < float((~clip_g).float().mean()) < 0.63
    assert set(said[0][~clip_l].tolist()) <= set(range(1, count + 1))


def test_learning_rate_warms_up_holds_and_falls_to_nothing() -> None:
    rates = [learning_rate(step, 3000, 1.0) for step in (0, 199, 1000, 2399, 2700, 2999)]
    assert rates == pytest.approx([1 / 200, 1, 1, 1, 0.5, 1 / 600])
