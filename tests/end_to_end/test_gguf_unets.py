"""UNets from GGUF files in both usual conventions, against diffusers' own UNet with the gguf package's values."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import diffusers
import pytest
import torch
from safetensors.torch import load_file, save_file
from support.gguf_files import write_projections, write_rows_of_256
from support.models import PROMPT, copied, write_stable_diffusion
from support.models_sdxl import write_stable_diffusion_xl
from support.published import networks, single_file
from torch import Tensor

from latentry import Engine, GenerationRequest, LoraRequest, ModelFiles, PluginHost
from latentry_diffusers.layouts import backward, forward
from latentry_diffusers.layouts.unet import unet_pairs
from latentry_diffusers.loading.quantised import QuantisedConv2d, QuantisedLinear
from latentry_sd.detect import detect as detect_sd
from latentry_sdxl.detect import detect as detect_sdxl

pytestmark = pytest.mark.slow  # many that add up

CPU = torch.device("cpu")
WRITERS = {"rows of 256": write_rows_of_256, "projections": write_projections}
FAMILIES: Mapping[str, tuple[Callable[[Path], Path], str, str]] = {
    "sd": (write_stable_diffusion, "sd15", "sd1"),
    "sdxl": (write_stable_diffusion_xl, "base", "sdxl"),
}
PLAIN = [(f, c, t) for f in FAMILIES for c in WRITERS for t in ("Q8_0", "Q4_0")]
K_QUANTS = [("sd", "rows of 256", t) for t in ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K")]


class Case(NamedTuple):
    """A UNet in a GGUF file with the rest of its model, and a folder with the values that it should have."""

    family: str
    files: ModelFiles
    folder: Path


def write_case(family: str, convention: str, type: str, root: Path) -> Case:
    """The names are those of the original layout, without the prefix that they have in whole checkpoints."""
    write, _, architecture = FAMILIES[family]
    folder = write(root / "model")
    (weights,) = (folder / "unet").glob("*.safetensors")
    tensors, pairs = load_file(weights), unet_pairs(json.loads((folder / "unet" / "config.json").read_text()))
    originals = {pair.original: backward(pair, tensors) for pair in pairs}
    values = WRITERS[convention](root / "unet.gguf", originals, type, architecture)
    rounded = copied(folder, root / "rounded")
    restored = {
        name: tensor.contiguous() for pair in pairs for name, tensor in forward(pair, values[pair.original]).items()
    }
    assert restored.keys() == tensors.keys()
    save_file(restored, rounded / "unet" / weights.name, metadata={"format": "pt"})
    encoders = [("text-encoder", part) for part in sorted(folder.glob("text_encoder*"))]
    return Case(family, ModelFiles(root / "unet.gguf", (("vae", folder / "vae"), *encoders), folder), rounded)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    family, convention, kind = request.param
    return write_case(family, convention, kind, tmp_path_factory.mktemp("gguf"))


def load(case: Case, dtype: torch.dtype = torch.float32) -> Any:
    return PluginHost().families.load(case.family)(case.files, FAMILIES[case.family][1]).load(CPU, dtype)


def inputs(unet: Any) -> dict[str, Any]:
    """Random ones, of this UNet's widths."""
    generator = torch.Generator().manual_seed(3)
    config = unet.config
    given: dict[str, Any] = {
        "sample": torch.randn((2, config.in_channels, 16, 16), generator=generator),
        "timestep": torch.tensor([700.0, 20.0]),
        "encoder_hidden_states": torch.randn((2, 5, config.cross_attention_dim), generator=generator),
    }
    if config.addition_embed_type:
        pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
        added = {"text_embeds": torch.randn((2, pooled), generator=generator), "time_ids": torch.full((2, 6), 64.0)}
        given["added_cond_kwargs"] = added
    return given


def output(unet: Any) -> Tensor:
    with torch.no_grad():
        made: Tensor = unet(**inputs(unet), return_dict=False)[0]
    return made


@pytest.mark.parametrize("case", [*PLAIN, *K_QUANTS], indirect=True, ids="-".join)
def test_it_computes_what_diffusers_does_with_the_values(case: Case) -> None:
    loaded = load(case)
    assert (loaded.report.missing, loaded.report.unexpected) == ((), ())
    peer: Any = diffusers.UNet2DConditionModel.from_pretrained(case.folder / "unet", torch_dtype=torch.float32)
    ours, theirs = output(loaded.unet), output(peer)
    assert ours.isfinite().all()
    assert ours.std() > 1e-3
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "case", [("sd", "rows of 256", "Q8_0"), ("sdxl", "rows of 256", "Q4_0")], indirect=True, ids="-".join
)
def test_convolutions_and_matrices_stay_packed(case: Case) -> None:
    unet = load(case).unet
    kinds = (QuantisedConv2d, QuantisedLinear)
    packed = [each for each in unet.modules() if isinstance(each, kinds)]
    assert {type(each) for each in packed} == set(kinds)
    held = sum(each.weight.nbytes for each in packed)
    values = sum(each.in_features * each.out_features for each in packed if isinstance(each, QuantisedLinear))
    values += sum(
        each.out_channels * each.in_channels * each.kernel_size[0] ** 2
        for each in packed
        if isinstance(each, QuantisedConv2d)
    )
    assert held * 32 == values * (34 if case.family == "sd" else 18)  # bytes of a block of 32 values


@pytest.mark.parametrize(
    "case", [("sd", "rows of 256", "Q8_0"), ("sd", "projections", "Q8_0")], indirect=True, ids="-".join
)
def test_pictures_are_those_of_the_values(case: Case) -> None:
    engine = Engine(PluginHost())
    asked = {"prompt": PROMPT, "steps": 3, "seed": 1, "width": 64, "height": 64, "device": "cpu", "dtype": "float32"}
    parts = [(role, str(path)) for role, path in case.files.parts]
    files = GenerationRequest(
        **asked,  # type: ignore[arg-type]
        model=str(case.files.path),
        vae=next(path for role, path in parts if role == "vae"),
        text_encoders=tuple(path for role, path in parts if role == "text-encoder"),
        config=str(case.files.config),
    )
    ours, theirs = engine.generate(files), engine.generate(GenerationRequest(**asked, model=str(case.folder)))  # type: ignore[arg-type]
    torch.testing.assert_close(ours.latents, theirs.latents, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("case", [("sd", "rows of 256", "Q8_0")], indirect=True, ids="-".join)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_it_computes_in_the_dtype_that_is_asked_for(case: Case, dtype: torch.dtype) -> None:
    unet = load(case, dtype).unet
    peer: Any = diffusers.UNet2DConditionModel.from_pretrained(case.folder / "unet", torch_dtype=dtype)
    given = {key: value.to(dtype) if key != "timestep" else value for key, value in inputs(unet).items()}
    with torch.no_grad():
        assert torch.equal(unet(**given, return_dict=False)[0], peer(**given, return_dict=False)[0])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("convention", WRITERS)
def test_a_published_unet_is_recognised(tmp_path: Path, family: str, convention: str) -> None:
    """At full size, from the header: shapes are the true ones, and dimensions of 1 do not matter."""
    import gguf
    import numpy as np

    _, variant, architecture = FAMILIES[family]
    shapes = single_file(family, variant, {"unet": networks(family, variant)["unet"]})
    writer = gguf.GGUFWriter(tmp_path / "unet.gguf", architecture)
    kind = gguf.GGMLQuantizationType.Q4_K
    for prefixed, true in shapes.items():
        name, size = prefixed.removeprefix("model.diffusion_model."), int(np.prod(true))
        shape: Any = true
        if convention == "rows of 256" and len(shape) > 1 and shape[-1] % 256 and size % 256 == 0:
            writer.add_array(f"comfy.gguf.orig_shape.{name}", list(shape))
            shape = (size // 256, 256)
        elif convention == "projections" and name.endswith((".proj_in.weight", ".proj_out.weight")):
            shape = shape[:2] if len(shape) == 4 else (*shape, 1, 1)
        if shape[-1] % 256 == 0 and len(shape) == 2:
            rows = (shape[0], shape[1] // 256 * 144)
            writer.add_tensor_info(name, rows, np.dtype(np.uint8), int(np.prod(rows)), raw_dtype=kind)
        else:
            writer.add_tensor_info(name, shape, np.dtype(np.float16), 2 * size)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    with (tmp_path / "unet.gguf").open("ab") as file:
        file.truncate(file.tell() + 32 + sum(-(-info.nbytes // 32) * 32 for info in writer.tensors[0].values()))
    found = {"sd": detect_sd, "sdxl": detect_sdxl}[family](ModelFiles(tmp_path / "unet.gguf"))
    assert found is not None
    assert variant in found.variants
    assert found.score == 0.95
    assert found.parameters == sum(int(np.prod(shape)) for shape in shapes.values())


@pytest.mark.parametrize("case", [("sd", "rows of 256", "Q8_0")], indirect=True, ids="-".join)
def test_loras_change_packed_convolutions(case: Case, tmp_path: Path) -> None:
    loaded = load(case)
    layer = loaded.unet.conv_in
    assert isinstance(layer, torch.nn.Conv2d)
    generator = torch.Generator().manual_seed(0)
    name = "down_blocks.0.resnets.0.conv1"
    conv = loaded.unet.get_submodule(name)
    assert isinstance(conv, QuantisedConv2d)
    down = torch.randn((2, conv.in_channels, 3, 3), generator=generator)
    up = torch.randn((conv.out_channels, 2, 1, 1), generator=generator)
    save_file({f"unet.{name}.lora_A.weight": down, f"unet.{name}.lora_B.weight": up}, tmp_path / "lora.safetensors")
    peer: Any = diffusers.UNet2DConditionModel.from_pretrained(case.folder / "unet", torch_dtype=torch.float32)
    peer.get_submodule(name).weight.data += (up.flatten(1) @ down.flatten(1)).reshape(conv.values_shape)
    with loaded.set_loras([LoraRequest(path=str(tmp_path / "lora.safetensors"))]):
        changed = output(loaded.unet)
    torch.testing.assert_close(changed, output(peer), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(changed, output(loaded.unet), atol=1e-2)
