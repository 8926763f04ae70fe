"""IP-Adapters do what conditioners must, on networks of random weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from diffusers.models.attention_processor import SD3IPAdapterJointAttnProcessor2_0
from diffusers.models.embeddings import IPAdapterTimeImageProjection
from PIL import Image
from safetensors.torch import load_file, save_file
from support.controlnets import write_flux_ip_adapter, write_ip_adapter, write_sd3_ip_adapter
from support.host_copies import HostCopies
from support.models import write_stable_diffusion
from support.models_flux import write_flux
from support.models_sd3 import write_stable_diffusion_3
from support.models_sdxl import write_stable_diffusion_xl
from transformers import SiglipVisionConfig, SiglipVisionModel

from latentry import ControlRequest, Engine, GenerationRequest, IncompatibleError, ModelFiles, PluginHost
from latentry.conditioners import ControlQuery
from latentry.models import Conditioning, Model
from latentry.testing import ConditionerSuite, Pair
from latentry_ip_adapter.adapter import Projections
from latentry_ip_adapter.checkpoint import detect
from latentry_ip_adapter.timed import JointLayer, TimedAdapter, networks_like, own_name


class TestAdapter(ConditionerSuite):
    conditioner = "ip-adapter"

    @classmethod
    def pairs(cls, folder: Path) -> Sequence[Pair]:
        sd, xl = write_stable_diffusion(folder / "sd"), write_stable_diffusion_xl(folder / "sdxl")
        flux = write_flux(folder / "flux")
        sd3 = write_stable_diffusion_3(folder / "sd3", dual_attention_layers=(), qk_norm=None)
        return [
            Pair(write_ip_adapter(folder / "a", sd), sd),
            Pair(write_ip_adapter(folder / "b", xl), xl),
            Pair(write_flux_ip_adapter(folder / "c", flux), flux),
            Pair(write_sd3_ip_adapter(folder / "d", sd3), sd3),
        ]


@pytest.mark.parametrize(
    ("negative", "several", "made"),
    [
        ([False], False, 0),
        ([False, True], False, 0),
        ([False, False, True, True], False, 1),
        ([True, False], False, 1),
        ([True, False], True, 1),
    ],
)
def test_an_evaluation_copies_rows_for_sd3_once(negative: list[bool], several: bool, made: int) -> None:
    """And each row is injected what it is alone."""
    adapter = timed()
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    times = [300.0 + 100 * row * several for row in range(len(negative))]
    with torch.no_grad():
        inject = adapter.prepare(cast(Model, None), picture, None, 0)

        def given(timestep: float | torch.Tensor, negative: list[bool]) -> dict[str, torch.Tensor]:
            x = torch.zeros(len(negative), 16, 8, 8)
            return dict(inject(ControlQuery(x, timestep, Conditioning({}), 0.5, negative, None)))

        timestep = torch.tensor(times) if several else times[0]
        with HostCopies() as copies:
            found = given(timestep, negative)
        alone = [given(each, [side]) for each, side in zip(times, negative, strict=True)]
    assert (copies.made, copies.lists) == (made, 0)
    for name, tensor in found.items():
        rows = tensor.expand(len(negative), *tensor.shape[1:])
        for row, each in enumerate(alone):
            assert torch.allclose(rows[row], each[name][0], atol=1e-5), name


def timed() -> TimedAdapter:
    """A tiny adapter for SD3."""
    torch.manual_seed(0)
    seen: Any = SiglipVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, image_size=32, patch_size=8
    )
    projection = IPAdapterTimeImageProjection(
        embed_dim=32, output_dim=32, hidden_dim=64, heads=1, num_queries=4, timestep_in_dim=32
    )
    layers = torch.nn.ModuleList(JointLayer(32, 32, head=8, time=64) for _ in range(2))
    return TimedAdapter(projection, layers, SiglipVisionModel(seen).eval())


def test_the_picture_is_taken_as_it_was_given(tmp_path: Path) -> None:
    sd = write_stable_diffusion(tmp_path / "sd")
    file, shown = write_ip_adapter(tmp_path / "a", sd), tmp_path / "shown.png"
    Image.new("RGB", (50, 20)).save(shown)
    control = ControlRequest(model=str(file), picture=str(shown))
    asked = GenerationRequest(prompt="a", model=str(sd), controls=(control,))
    setup = Engine(PluginHost()).prepare(asked)
    assert setup.controls[0].picture.size == (50, 20)
    assert not any("scaled" in note for note in setup.notes)


def test_an_adapter_for_another_kind_of_network_does_not_fit(tmp_path: Path) -> None:
    sd, flux = write_stable_diffusion(tmp_path / "sd"), write_flux(tmp_path / "flux")
    sd3 = write_stable_diffusion_3(tmp_path / "sd3", dual_attention_layers=(), qk_norm=None)
    engine = Engine(PluginHost())
    files = {
        "flux": write_ip_adapter(tmp_path / "a", sd),
        "sd": write_sd3_ip_adapter(tmp_path / "b", sd3),
        "sd3": write_flux_ip_adapter(tmp_path / "c", flux),
    }
    Image.new("RGB", (64, 64)).save(tmp_path / "shown.png")
    for model, file in files.items():
        control = ControlRequest(model=str(file), picture=str(tmp_path / "shown.png"))
        with pytest.raises(IncompatibleError, match=r"It is for (FLUX.1|a UNet|Stable Diffusion 3)"):
            engine.prepare(GenerationRequest(prompt="a", model=str(tmp_path / model), controls=(control,)))


@pytest.mark.parametrize("name", ["image_proj.latents", "image_proj.proj.0.weight"])
def test_other_kinds_are_refused_by_name(tmp_path: Path, name: str) -> None:
    file = write_ip_adapter(tmp_path, write_stable_diffusion(tmp_path / "sd"))
    state = load_file(file)
    state[name] = state.pop("image_proj.proj.weight")
    save_file(state, file)
    found = detect(ModelFiles(file))
    assert found is not None
    assert found.variants == ()
    assert found.evidence


INSTANTX = {"embed_dim": 1152, "output_dim": 2432, "hidden_dim": 1280, "heads": 20, "num_queries": 64}
"""Of the projection of SD3.5-Large-IP-Adapter."""
LAYERS, WIDTH, HEAD, TIME = 38, 2432, 64, 1280
"""Of SD3.5 Large's joint layers, and of the time embedding."""


def weights_of_the_published_adapter() -> int:
    """Counted by hand: of the projection 4 blocks, each with attention, a feed-forward layer and an adaptive norm."""
    inside, out = INSTANTX["hidden_dim"], INSTANTX["output_dim"]
    norms = 3 * 2 * inside
    attention = inside * inside + inside * 2 * inside + inside * inside
    block = norms + attention + 2 * inside * 4 * inside + (inside + 1) * 4 * inside
    ends = INSTANTX["num_queries"] * inside + (INSTANTX["embed_dim"] + 1) * inside + (inside + 1) * out + 2 * out
    time = (320 + 1) * inside + (inside + 1) * inside
    layer = (TIME + 1) * 2 * WIDTH + 2 * WIDTH * WIDTH + 3 * HEAD
    return 4 * block + ends + time + LAYERS * layer


@pytest.mark.parametrize("original", [True, False])
def test_that_for_sd3_as_it_is_published(tmp_path: Path, original: bool) -> None:
    """Headers of a file of the published size say what is built; its tensors are empty here, but for their shapes."""
    small = write_sd3_ip_adapter(
        tmp_path, write_stable_diffusion_3(tmp_path / "sd3", dual_attention_layers=()), original=original
    )
    found = detect(ModelFiles(small))
    assert found is not None
    assert found.variants == ("sd3",)
    with torch.device("meta"):
        projection = IPAdapterTimeImageProjection(**INSTANTX)
        layer = SD3IPAdapterJointAttnProcessor2_0(WIDTH, WIDTH, HEAD, TIME)
        headers: dict[str, Any] = {f"image_proj.{name}": each for name, each in projection.state_dict().items()}
        for number in range(LAYERS):
            headers |= {f"ip_adapter.{number}.{name}": each for name, each in layer.state_dict().items()}
        networks = networks_like(headers)
    counted = sum(weight.numel() for network in networks for weight in network.parameters())
    assert counted == weights_of_the_published_adapter()
    own = {own_name(name.removeprefix("image_proj.")) for name in load_file(small) if name.startswith("image_proj.")}
    assert own == set(projection.state_dict())


PLAIN = {
    "ip-adapter_sd15": (44_642_768, 1024, 768, [320] * 5 + [640] * 5 + [1280] * 6),
    "ip-adapter_sdxl": (702_585_376, 1280, 2048, [640] * 10 + [1280] * 60),
}
"""The bytes of published files, two for each weight and a header; widths of the embedding, of tokens and of layers."""
TOKENS, HEADER = 4, 20_000


@pytest.mark.parametrize(
    ("version", "tokens", "size", "unit"), [("v1", 4, 981_760_648, 1), ("v2", 16, 1_060_000_000, 10_000_000)]
)
def test_those_of_xlabs_have_the_size_of_their_files(version: str, tokens: int, size: int, unit: int) -> None:
    """Of the second version three digits are told."""
    with torch.device("meta"):
        built = Projections(768, 4096, tokens, [3072] * 19, biased=True)
    assert -unit / 2 < size - 2 * sum(weight.numel() for weight in built.parameters()) < HEADER + unit / 2


@pytest.mark.parametrize("name", PLAIN)
def test_those_for_unets_have_the_size_of_their_files(name: str) -> None:
    size, inside, width, layers = PLAIN[name]
    with torch.device("meta"):
        built = Projections(inside, width, TOKENS, layers, biased=False)
    assert 0 < size - 2 * sum(weight.numel() for weight in built.parameters()) < HEADER
