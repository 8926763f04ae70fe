"""LoRAs through diffusers' own loader and through ours, with the same prompts, noise and grid."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FluxPipeline, StableDiffusion3Pipeline, StableDiffusionPipeline, StableDiffusionXLPipeline
from peft import LoraConfig, get_peft_model
from support.both_pipelines import SCHEDULERS, Peers
from support.loras import diffusers, kohya, random_lora, underscored, write
from support.models import PROMPT, write_stable_diffusion
from support.models_flux import write_flux
from support.models_sd3 import write_stable_diffusion_3
from support.models_sdxl import write_stable_diffusion_xl
from support.parts import TOKENS
from torch import Tensor

from latentry import Engine, GenerationRequest, LoraMode, LoraRequest, PluginHost

pytestmark = pytest.mark.slow

STEPS = 4
TOLERANCE = 1e-3
TAKING = ("CLIPTextModel", "UNet2D", "SD3Transformer", "FluxTransformer")
"""Networks that diffusers takes LoRAs for, which T5 is not."""
SQUARE = {"height": 64, "width": 64, "max_sequence_length": TOKENS}


@dataclass(frozen=True)
class Family:
    """How we and diffusers draw with one family's tiny model.

    Attributes:
        write: writes the model's folder.
        kind: diffusers' pipeline.
        channels: of a latent.
        mine: our settings that make the pictures the same.
        theirs: diffusers' settings that do.
    """

    write: Callable[[Path], Path]
    kind: Any
    channels: int
    mine: Mapping[str, Any] = field(default_factory=dict)
    theirs: Mapping[str, Any] = field(default_factory=dict)


FAMILIES = {
    "sd": Family(write_stable_diffusion, StableDiffusionPipeline, 4, SCHEDULERS["ddim"]),
    "sdxl": Family(write_stable_diffusion_xl, StableDiffusionXLPipeline, 4, SCHEDULERS["ddim"]),
    "sd3": Family(
        write_stable_diffusion_3,
        StableDiffusion3Pipeline,
        16,
        theirs={**SQUARE, "sigmas": np.linspace(1, 1 / STEPS, STEPS)},
    ),
    "flux": Family(write_flux, FluxPipeline, 16, theirs=SQUARE),
}


class Sides:
    """One family's model, here and in diffusers."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder, self.family = name, folder, FAMILIES[name]
        self.engine = Engine(PluginHost())
        self.peer = Peers()(folder, self.family.kind, "ddim" if name in ("sd", "sdxl") else "own")
        self.noise = torch.randn((1, self.family.channels, 16, 16), generator=torch.Generator().manual_seed(5))

    @property
    def networks(self) -> dict[str, Any]:
        """Diffusers' own."""
        parts = self.peer.components
        return {name: part for name, part in parts.items() if type(part).__name__.startswith(TAKING)}

    def mine(self, *loras: LoraRequest, mode: LoraMode = "unmerged") -> Tensor:
        """Our latents."""
        settings = {"steps": STEPS, "guidance": 4.0, "dtype": "float32", "attention": "native", **self.family.mine}
        request = GenerationRequest(prompt=PROMPT, model=str(self.folder), loras=loras, lora_mode=mode, **settings)
        return self.engine.generate(request, latents=self.noise).latents

    def theirs(self, *loras: LoraRequest) -> Tensor:
        """Diffusers' latents."""
        with self._loaded(*loras):
            return self._drawn()

    def theirs_through(self, part: str, network: Any) -> Tensor:
        """Diffusers' latents with another network for one part."""
        own = getattr(self.peer, part)
        try:
            setattr(self.peer, part, network)
            return self._drawn()
        finally:
            setattr(self.peer, part, own)

    def _drawn(self) -> Tensor:
        start, flux = self.noise, self.name == "flux"
        if flux:
            start = FluxPipeline._pack_latents(start, *start.shape)
        settings = {"num_inference_steps": STEPS, "guidance_scale": 4.0, "output_type": "latent", **self.family.theirs}
        drawn: Tensor = self.peer(PROMPT, latents=start, **settings).images
        return FluxPipeline._unpack_latents(drawn, 64, 64, 4) if flux else drawn

    @contextmanager
    def _loaded(self, *loras: LoraRequest) -> Iterator[None]:
        """Diffusers' pipeline with LoRAs."""
        names = [f"number_{index}" for index, _ in enumerate(loras)]
        for name, lora in zip(names, loras, strict=True):
            file = Path(lora.path)
            self.peer.load_lora_weights(file.parent, weight_name=file.name, adapter_name=name, local_files_only=True)
        if loras:
            self.peer.set_adapters(names, [lora.weight for lora in loras])
        try:
            yield
        finally:
            if loras:
                self.peer.unload_lora_weights()


@pytest.fixture(scope="module", params=FAMILIES)
def sides(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sides:
    """A random model of each family."""
    name: str = request.param
    return Sides(name, FAMILIES[name].write(tmp_path_factory.mktemp("lora") / name))


def apart(one: Tensor, other: Tensor) -> float:
    """The largest difference."""
    return float((one - other).abs().max())


def test_both_agree_without_loras(sides: Sides) -> None:
    assert apart(sides.mine(), sides.theirs()) < TOLERANCE


def test_both_loaders_agree_on_diffusers_layout(sides: Sides, tmp_path: Path) -> None:
    """Every linear layer and every convolution of the denoiser and of the CLIP encoders."""
    lora = random_lora(sides.networks)
    wanted = LoraRequest(path=str(write(tmp_path / "all.safetensors", diffusers(lora))), weight=0.7)
    mine = sides.mine(wanted)
    assert apart(mine, sides.theirs(wanted)) < TOLERANCE
    assert apart(mine, sides.mine()) > 0.02
    assert apart(mine, sides.mine(wanted, mode="merged")) < 1e-4


@pytest.mark.filterwarnings("ignore:Already found a `peft_config`")
def test_both_loaders_agree_on_two_at_once(sides: Sides, tmp_path: Path) -> None:
    """They have different ranks and layers, and one of them a negative weight."""
    attention = random_lora(sides.networks, lambda part, name: "attn" in name, rank=2, seed=1)
    feeding = random_lora(sides.networks, lambda part, name: ".to_q" in name or "ff" in name, rank=5, seed=2)
    files = {"attention": attention, "feeding": feeding}
    paths = [str(write(tmp_path / f"{name}.safetensors", diffusers(lora))) for name, lora in files.items()]
    wanted = [LoraRequest(path=path, weight=weight) for path, weight in zip(paths, (0.8, -0.5), strict=True)]
    mine = sides.mine(*wanted)
    assert apart(mine, sides.theirs(*wanted)) < TOLERANCE
    for other in (wanted[:1], wanted[1:], [wanted[0], wanted[1].model_copy(update={"weight": 0.5})]):
        assert apart(mine, sides.mine(*other)) > 10 * TOLERANCE


def test_both_loaders_agree_on_the_settings_in_a_file(sides: Sides, tmp_path: Path) -> None:
    """Diffusers writes alpha into the file's metadata."""
    part = next(name for name in sides.networks if name in ("unet", "transformer"))
    lora = random_lora({part: sides.networks[part]}, lambda part, name: "attn" in name, rank=4, seed=3)
    names = [name for _, name in lora]
    layers = {name.removeprefix(f"{part}."): value for name, value in diffusers(lora).items()}
    settings = {"r": 4, "lora_alpha": 9, "target_modules": names, "alpha_pattern": {names[0]: 30}}
    sides.family.kind.save_lora_weights(
        tmp_path, **{f"{part}_lora_layers": layers, f"{part}_lora_adapter_metadata": settings}
    )
    wanted = LoraRequest(path=str(tmp_path / "pytorch_lora_weights.safetensors"), weight=0.6)
    mine = sides.mine(wanted)
    assert apart(mine, sides.theirs(wanted)) < TOLERANCE
    assert apart(mine, sides.mine(wanted.model_copy(update={"weight": 0.6 * 4 / 9}))) > 5 * TOLERANCE


def numbered(name: str, layers: int) -> str:
    """A layer of attention by the original name, in which the UNet's blocks are numbered through."""
    found = re.fullmatch(r"(down|up)_blocks\.(\d+)\.attentions\.(\d+)\.(.*)", name)
    if found is None:
        return name.replace("mid_block.attentions.0", "middle_block.1")
    way, block, attention = found[1], int(found[2]), int(found[3])
    before = block * (layers + 1) + attention + (1 if way == "down" else 0)
    return f"{'input' if way == 'down' else 'output'}_blocks.{before}.1.{found[4]}"


def unet_in_kohyas(sides: Sides) -> dict[str, Tensor]:
    """Stable Diffusion's layers under diffusers' names, XL's under the original ones; with the text encoders'."""
    xl = sides.name == "sdxl"
    starts = {"unet": "lora_unet_", "text_encoder": "lora_te1_" if xl else "lora_te_", "text_encoder_2": "lora_te2_"}
    layers = sides.networks["unet"].config.layers_per_block

    def wanted(part: str, name: str) -> bool:
        return "attentions" in name or "self_attn" in name or "mlp" in name

    def spelled(part: str, name: str) -> str:
        return underscored(starts[part])(part, numbered(name, layers) if xl and part == "unet" else name)

    return kohya(random_lora(sides.networks, wanted, rank=4, alpha=2.5, seed=4), spelled)


def transformer_in_kohyas(sides: Sides) -> dict[str, Tensor]:
    """FLUX.1's layers under Black Forest Labs' names, with queries, keys and values in one; and CLIP's.

    Without ``linear1``, which diffusers knows only at the published size.
    """
    width = 64
    shapes = {
        f"lora_unet_double_blocks_{block}_{stream}_{layer}": shape
        for block in range(2)
        for stream in ("img", "txt")
        for layer, shape in {
            "attn_qkv": (3 * width, width),
            "attn_proj": (width, width),
            "mlp_0": (4 * width, width),
            "mlp_2": (width, 4 * width),
            "mod_lin": (6 * width, width),
        }.items()
    }
    for block in range(2):
        shapes[f"lora_unet_single_blocks_{block}_linear2"] = (width, 5 * width)
        shapes[f"lora_unet_single_blocks_{block}_modulation_lin"] = (3 * width, width)
    generator, tensors = torch.Generator().manual_seed(6), {}
    for name, (outputs, inputs) in shapes.items():
        tensors[f"{name}.lora_down.weight"] = torch.randn((4, inputs), generator=generator) / inputs**0.5
        tensors[f"{name}.lora_up.weight"] = 0.1 * torch.randn((outputs, 4), generator=generator)
        tensors[f"{name}.alpha"] = torch.tensor(2.5)
    clip = random_lora({"text_encoder": sides.networks["text_encoder"]}, lambda _, name: "layers" in name, rank=4)
    return tensors | kohya(clip, underscored("lora_te1_"))


@pytest.mark.parametrize("sides", ["sd", "sdxl", "flux"], indirect=True)
def test_both_loaders_agree_on_kohyas_layout(sides: Sides, tmp_path: Path) -> None:
    """For SD3, diffusers takes its own layout only."""
    tensors = transformer_in_kohyas(sides) if sides.name == "flux" else unet_in_kohyas(sides)
    wanted = LoraRequest(path=str(write(tmp_path / "kohya.safetensors", tensors)), weight=0.9)
    mine = sides.mine(wanted)
    assert apart(mine, sides.theirs(wanted)) < TOLERANCE
    assert apart(mine, sides.mine()) > 0.02


def test_a_folder_of_pefts_does_what_it_does_in_peft(sides: Sides, tmp_path: Path) -> None:
    """It holds the tensors and a file of settings, by which some layers have another alpha."""
    part = next(name for name in sides.networks if name in ("unet", "transformer"))
    layers = ["to_q", "to_v", "to_out.0"]
    config = LoraConfig(
        r=3,
        lora_alpha=5,
        use_rslora=True,
        alpha_pattern={"to_q": 1},
        init_lora_weights=False,
        target_modules=layers,
    )
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(8)
        peer = get_peft_model(deepcopy(sides.networks[part]), config)
    peer.save_pretrained(tmp_path)
    drawn = sides.theirs_through(part, peer)
    mine = sides.mine(LoraRequest(path=str(tmp_path)))
    assert apart(mine, drawn) < TOLERANCE
    assert apart(mine, sides.mine()) > 0.02


def xlabs(sides: Sides) -> dict[str, Tensor]:
    """A LoRA as XLabs trains them: attention processors in all blocks."""
    config = sides.networks["transformer"].config
    width = config.num_attention_heads * config.attention_head_dim
    shapes = {
        f"double_blocks.{block}.processor.{layer}_lora{stream}": (count * width, width)
        for block in range(config.num_layers)
        for stream in (1, 2)
        for layer, count in (("qkv", 3), ("proj", 1))
    }
    for block in range(config.num_single_layers):
        shapes[f"single_blocks.{block}.processor.qkv_lora"] = (3 * width, width)
        shapes[f"single_blocks.{block}.processor.proj_lora"] = (width, 5 * width)
    generator, tensors = torch.Generator().manual_seed(9), {}
    for name, (outputs, inputs) in shapes.items():
        tensors[f"{name}.down.weight"] = torch.randn((4, inputs), generator=generator) / inputs**0.5
        tensors[f"{name}.up.weight"] = 0.8 * torch.randn((outputs, 4), generator=generator)
    return tensors


@pytest.mark.parametrize("sides", ["flux"], indirect=True)
def test_both_loaders_agree_on_xlabs_layout(sides: Sides, tmp_path: Path) -> None:
    tensors = xlabs(sides)
    wanted = LoraRequest(path=str(write(tmp_path / "xlabs.safetensors", tensors)), weight=0.8)
    mine = sides.mine(wanted)
    assert apart(mine, sides.theirs(wanted)) < TOLERANCE
    assert apart(mine, sides.mine(wanted, mode="merged")) < 1e-4
    (found,) = sides.engine.prepare(
        GenerationRequest(prompt="a", model=str(sides.folder), loras=(wanted,))
    ).loras.matches
    assert found.unmatched == ()
    for stream in ("qkv_lora1", "qkv_lora2", "proj_lora1", "proj_lora2", "single"):  # each counts
        some = {name: tensor for name, tensor in tensors.items() if stream not in name}
        lora = LoraRequest(path=str(write(tmp_path / f"no-{stream}.safetensors", some)), weight=0.8)
        assert apart(sides.mine(lora), mine) > 5 * TOLERANCE, stream
