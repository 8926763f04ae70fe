"""Transformers and T5 from GGUF files, beside the same models with what the gguf package makes of their values."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pytest
import torch
from support.gguf_files import part_as_gguf, round_part
from support.loras import kohya, random_lora, write
from support.models import PROMPT, copied
from support.models_flux import write_flux
from support.models_sd3 import write_stable_diffusion_3

from latentry import Engine, GenerationRequest, IncompatibleError, LoraRequest, MemoryPolicy, ModelFiles, PluginHost
from latentry.models import PromptSettings
from latentry_diffusers.layouts import Pair
from latentry_diffusers.layouts.flux import flux_pairs
from latentry_diffusers.layouts.sd3 import sd3_pairs
from latentry_diffusers.layouts.t5 import t5_gguf_pairs
from latentry_diffusers.loading.quantised import QuantisedLinear, dequantised, is_quantised

pytestmark = pytest.mark.slow

TYPES = ("Q8_0", "Q5_0", "Q4_0", "BF16")
K_QUANTS = ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K")
CPU = torch.device("cpu")


class Family(NamedTuple):
    """What is told of a family here."""

    write: Callable[[Path], Path]
    pairs: Callable[[Mapping[str, Any]], tuple[Pair, ...]]
    variant: str
    t5: str
    clips: tuple[str, ...]


FAMILIES = {
    "flux": Family(write_flux, flux_pairs, "dev", "text_encoder_2", ("text_encoder",)),
    "sd3": Family(
        write_stable_diffusion_3, sd3_pairs, "sd35-medium", "text_encoder_3", ("text_encoder", "text_encoder_2")
    ),
}


class Case(NamedTuple):
    """The files of one model, and a folder with the values that they should have."""

    family: str
    files: ModelFiles
    folder: Path


def parts(folder: Path) -> tuple[tuple[Any, Path], ...]:
    """Of FLUX, besides the transformer."""
    encoders = [("text-encoder", folder / name) for name in ("text_encoder", "text_encoder_2")]
    return (("vae", folder / "vae"), *encoders)


def config(part: Path) -> dict[str, Any]:
    return dict(json.loads((part / "config.json").read_text()))


def model(case: Case, files: ModelFiles, dtype: torch.dtype = torch.float32) -> Any:
    family = PluginHost().families.load(case.family)
    return family(files, FAMILIES[case.family].variant).load(CPU, dtype)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {name: family.write(root / name) for name, family in FAMILIES.items()}


@pytest.fixture(scope="module")
def case(request: pytest.FixtureRequest, folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A transformer as GGUF, in the original layout or under diffusers' names, and T5 in llama.cpp's."""
    name, type, layout = request.param
    family, folder, root = FAMILIES[name], folders[name], tmp_path_factory.mktemp("gguf")
    pairs: Sequence[Pair] = family.pairs(config(folder / "transformer")) if layout == "original" else ()
    llama = t5_gguf_pairs(config(folder / family.t5))
    rounded = copied(folder, root / "rounded")
    round_part(rounded / "transformer", type, pairs)
    round_part(rounded / family.t5, type)
    files = ModelFiles(
        part_as_gguf(folder / "transformer", root / "transformer.gguf", type, pairs, architecture=name),
        (
            ("vae", folder / "vae"),
            *(("text-encoder", folder / clip) for clip in family.clips),
            ("text-encoder", part_as_gguf(folder / family.t5, root / "t5.gguf", type, llama, architecture="t5encoder")),
        ),
        folder,
    )
    return Case(name, files, rounded)


ALL = [(name, type, layout) for name in FAMILIES for type in TYPES for layout in ("original", "diffusers")]
Q8_0 = [(name, "Q8_0", "original") for name in FAMILIES]


def values(tensor: torch.Tensor) -> torch.Tensor:
    return dequantised(tensor, torch.float32) if is_quantised(tensor) else tensor


def shown(loaded: Any, seed: int = 0) -> tuple[torch.Tensor, ...]:
    """What the text encoders and the transformer make of one prompt and one noise.

    In float32 the last bits may differ: matrices are multiplied in an order that depends on where they lie in memory.
    """
    told = loaded.encode_prompt([PROMPT], PromptSettings(64, 64, guidance=3.5))
    x = torch.randn((1, 16, 16, 16), generator=torch.Generator().manual_seed(seed))
    return told["text"], loaded.predict(x, 500.0, told)


@pytest.mark.parametrize("case", ALL, indirect=True, ids="-".join)
def test_it_computes_what_it_would_with_the_values(case: Case) -> None:
    loaded, plain = model(case, case.files), model(case, ModelFiles(case.folder))
    assert not loaded.report.missing
    assert not loaded.report.unexpected
    for part, network in loaded.networks.items():
        expected = plain.networks[part].state_dict()
        assert all(torch.equal(values(tensor), expected[name]) for name, tensor in network.state_dict().items())
    for ours, theirs in zip(shown(loaded), shown(plain), strict=True):
        assert ours.isfinite().all()
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("type", K_QUANTS)
def test_k_quants_are_read(type: str, tmp_path: Path) -> None:
    """Their blocks hold 256 values, so the network has to be wider."""
    wide = {"attention_head_dim": 64, "axes_dims_rope": (16, 24, 24), "num_layers": 1, "num_single_layers": 1}
    folder = write_flux(tmp_path / "flux", **wide)
    rounded, pairs = copied(folder, tmp_path / "rounded"), flux_pairs(config(folder / "transformer"))
    round_part(rounded / "transformer", type, pairs)
    files = ModelFiles(part_as_gguf(folder / "transformer", tmp_path / "w.gguf", type, pairs), parts(folder), folder)
    case = Case("flux", files, rounded)
    loaded, plain = model(case, files), model(case, ModelFiles(rounded))
    assert any(isinstance(each, QuantisedLinear) for each in loaded.transformer.modules())
    torch.testing.assert_close(shown(loaded), shown(plain), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", Q8_0, indirect=True, ids="-".join)
def test_loras_run_unmerged_and_are_not_merged(case: Case, tmp_path: Path) -> None:
    loaded, plain = model(case, case.files), model(case, ModelFiles(case.folder))
    lora = random_lora({"transformer": plain.transformer}, lambda _, name: ".attn.to_" in name)
    file = write(tmp_path / "lora.safetensors", kohya(lora, lambda part, name: f"lora_{part}_{name.replace('.', '_')}"))
    before, wanted = shown(loaded), [LoraRequest(path=str(file))]
    with loaded.set_loras(wanted), plain.set_loras(wanted):
        changed = shown(loaded)
        torch.testing.assert_close(changed, shown(plain), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(changed[1], before[1], atol=1e-3)
    assert torch.equal(shown(loaded)[1], before[1])
    with pytest.raises(IncompatibleError, match="cannot be merged"):
        loaded.set_loras(wanted, "merged")


@pytest.mark.parametrize("case", Q8_0, indirect=True, ids="-".join)
def test_it_takes_the_memory_of_the_blocks(case: Case) -> None:
    loaded = model(case, case.files)
    for part in ("transformer", FAMILIES[case.family].t5):
        layers = [each for each in loaded.networks[part].modules() if isinstance(each, QuantisedLinear)]
        assert layers
        for layer in layers:
            assert layer.weight.nbytes * 32 == layer.in_features * layer.out_features * 34  # 32 values, one scale


@pytest.mark.parametrize("case", Q8_0, indirect=True, ids="-".join)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_it_computes_in_the_dtype_that_is_asked_for(case: Case, dtype: torch.dtype) -> None:
    loaded, plain = model(case, case.files, dtype), model(case, ModelFiles(case.folder), dtype)
    assert loaded.dtype == plain.dtype == dtype
    for ours, theirs in zip(shown(loaded), shown(plain), strict=True):
        assert ours.dtype == theirs.dtype == dtype
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("case", Q8_0, indirect=True, ids="-".join)
def test_attention_backends_serve_it(case: Case) -> None:
    loaded, plain = model(case, case.files), model(case, ModelFiles(case.folder))
    with loaded.set_attention("sdpa"), plain.set_attention("sdpa"):
        for ours, theirs in zip(shown(loaded), shown(plain), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", Q8_0, indirect=True, ids="-".join)
def test_pictures_are_those_of_the_values(case: Case) -> None:
    engine, (asked, files) = Engine(PluginHost()), requests(case)
    theirs, ours = (engine.generate(each).images[0] for each in (asked, files))
    assert np.abs(np.asarray(ours, dtype=int) - np.asarray(theirs, dtype=int)).max() <= 1


@pytest.mark.parametrize("case", Q8_0, indirect=True, ids="-".join)
def test_blocks_can_be_moved_to_a_device_one_after_another(case: Case) -> None:
    _, files = requests(case)
    moved = Engine(PluginHost(), MemoryPolicy(offload="blocks"), move=lambda tensor, device: tensor.clone())
    ours, theirs = (engine.generate(files).latents for engine in (moved, Engine(PluginHost())))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("case", Q8_0, indirect=True, ids="-".join)
@pytest.mark.parametrize("how", ["script", "auto"])
def test_it_is_not_captured_and_says_so_where_that_was_asked_for(
    case: Case, how: Literal["script", "auto"], caplog: pytest.LogCaptureFixture
) -> None:
    _, files = requests(case)
    engine = Engine(PluginHost(), MemoryPolicy(capture=how))
    ours = [engine.generate(files).latents for _ in range(3)]
    assert torch.equal(ours[-1], Engine(PluginHost()).generate(files).latents)
    (loaded,) = engine._studio.models.load(engine.prepare(files))
    assert not loaded.captures
    told = [record.getMessage() for record in caplog.records if "captured" in record.getMessage()]
    wanted = "the transformer keeps its weights in fewer bits than it computes with, and is not captured"
    assert told == ([wanted] if how == "script" else [])


def requests(case: Case) -> tuple[GenerationRequest, GenerationRequest]:
    """For one picture, by the folder and by the files."""
    given = [(role, str(path)) for role, path in case.files.parts]
    asked = GenerationRequest(
        prompt=PROMPT,
        model=str(case.folder),
        variant=FAMILIES[case.family].variant,
        steps=3,
        seed=1,
        width=64,
        height=64,
        device="cpu",
        dtype="float32",
    )
    files = {
        "model": str(case.files.path),
        "vae": next(path for role, path in given if role == "vae"),
        "text_encoders": tuple(path for role, path in given if role == "text-encoder"),
        "config": str(case.files.config),
    }
    return asked, asked.model_copy(update=files)
