"""The loader, on single networks: right values and dtypes, or one clear error that names the tensor and the file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.models import edit, edit_weights, truncate
from support.parts import autoencoder, clip, t5

from latentry import ModelError, ModelFiles
from latentry.models import LoadReport
from latentry_diffusers.bundle.networks import CLIP, CLIP_PROJECTED, T5, VAE, PartSpec, common_name
from latentry_diffusers.bundle.open import open_bundle
from latentry_diffusers.loading.load import load_bundle

CPU = torch.device("cpu")
SPECS: Mapping[str, PartSpec] = {
    "clip": PartSpec("text_encoder", CLIP, {"hidden_size": int}, ()),
    "projected": PartSpec("text_encoder_2", CLIP_PROJECTED, {"hidden_size": int}, ()),
    "t5": PartSpec("text_encoder_3", T5, {"d_model": int}, ()),
    "vae": PartSpec("vae", VAE, {"block_out_channels": list}, ("first_stage_model.",), "vae"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the parts that have something of their own: tables, ties, other names."""
    folder = tmp_path_factory.mktemp("parts")
    torch.manual_seed(0)
    networks = (
        clip(50, width=32, projected=False),
        clip(50, width=48, projected=True),
        t5(40, width=32),
        autoencoder(),
    )
    for spec, network in zip(SPECS.values(), networks, strict=True):
        network.save_pretrained(folder / spec.name)
    (folder / "scheduler").mkdir()
    (folder / "scheduler" / "scheduler_config.json").write_text("{}")
    index = {spec.name: ["library", "Class"] for spec in SPECS.values()}
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def load(
    folder: Path, *names: str, dtype: torch.dtype = torch.float32, vae: torch.dtype | None = None
) -> tuple[dict[str, Any], LoadReport]:
    """Some of the parts; the autoencoder may have a dtype of its own."""
    specs = [SPECS[name] for name in names]
    bundle = open_bundle(ModelFiles(folder), specs, {"scheduler": {}})
    return load_bundle(bundle, CPU, {spec.name: vae or dtype if spec.name == "vae" else dtype for spec in specs})


def weights(folder: Path, name: str) -> Path:
    """The file of a part."""
    (file,) = (folder / SPECS[name].name).glob("*.safetensors")
    return file


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """A copy to be changed."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def test_nothing_is_left_without_memory(folder: Path) -> None:
    networks, _ = load(folder, *SPECS)
    for network in networks.values():
        named = [*network.named_parameters(), *network.named_buffers()]
        assert not [name for name, tensor in named if tensor.is_meta]
        assert not network.training


def test_the_positions_of_tokens_are_counted(folder: Path) -> None:
    network = load(folder, "clip")[0]["text_encoder"]
    positions = dict(network.named_buffers())["embeddings.position_ids"]
    assert torch.equal(positions, torch.arange(24)[None])
    assert "embeddings.position_ids" not in network.state_dict()


def test_the_embeddings_of_t5_are_one_tensor(folder: Path, copy: Path) -> None:
    network = load(folder, "t5")[0]["text_encoder_3"]
    assert network.shared.weight is network.encoder.embed_tokens.weight
    tensors = load_file(weights(copy, "t5"))
    tensors["encoder.embed_tokens.weight"] = tensors.pop("shared.weight")  # as some files call it
    save_file(tensors, weights(copy, "t5"), metadata={"format": "pt"})
    other = load(copy, "t5")[0]["text_encoder_3"]
    assert torch.equal(other.shared.weight, network.shared.weight)


@pytest.mark.parametrize("name", ["clip", "projected"])
def test_clip_loads_with_and_without_the_root_of_its_names(folder: Path, copy: Path, name: str) -> None:
    wanted = load(folder, name)[0][SPECS[name].name].state_dict()
    for root in ("", "text_model."):
        tensors = load_file(weights(folder, name))
        roots = {key: "" if key.startswith("text_projection") else root for key in tensors}
        renamed = {f"{roots[key]}{key.removeprefix('text_model.')}": tensor for key, tensor in tensors.items()}
        renamed["text_model.embeddings.position_ids"] = torch.arange(24)[None]  # in old files
        save_file(renamed, weights(copy, name), metadata={"format": "pt"})
        networks, report = load(copy, name)
        found = networks[SPECS[name].name].state_dict()
        assert all(torch.equal(found[key], tensor) for key, tensor in wanted.items())
        assert (report.unexpected, report.ignored) == ((), 1)


def test_names_of_the_first_diffusers_are_known(folder: Path, copy: Path) -> None:
    """The published autoencoder of Stable Diffusion 1.5 has them still."""
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    tensors = {}
    for key, tensor in load_file(weights(folder, "vae")).items():
        for new, name in old.items():
            key = key.replace(f"attentions.0.{new}.", f"attentions.0.{name}.")
        tensors[key] = tensor
    save_file(tensors, weights(copy, "vae"), metadata={"format": "pt"})
    wanted, found = (load(each, "vae")[0]["vae"].state_dict() for each in (folder, copy))
    assert all(torch.equal(found[key], tensor) for key, tensor in wanted.items())


def test_no_two_tensors_of_a_network_have_one_common_name(folder: Path) -> None:
    """But those that are one."""
    for network in load(folder, *SPECS)[0].values():
        tensors = network.state_dict()
        for name in tensors:
            alike = [other for other in tensors if common_name(other) == common_name(name)]
            assert all(tensors[other].data_ptr() == tensors[name].data_ptr() for other in alike)


@pytest.mark.parametrize("saved", [torch.float16, torch.bfloat16, torch.float8_e4m3fn])
def test_what_was_saved_in_another_dtype_is_converted(folder: Path, copy: Path, saved: torch.dtype) -> None:
    tensors = {key: tensor.to(saved) for key, tensor in load_file(weights(folder, "vae")).items()}
    save_file(tensors, weights(copy, "vae"), metadata={"format": "pt"})
    found = load(copy, "vae")[0]["vae"].state_dict()
    assert all(torch.equal(tensor.float(), found[key]) for key, tensor in tensors.items())


def test_a_tensor_that_keeps_its_dtype_stays_in_the_file(folder: Path, copy: Path) -> None:
    """What is written to the file afterwards shows in the network: there is no second copy."""
    tensors = {key: tensor.half() for key, tensor in load_file(weights(folder, "vae")).items()}
    save_file(tensors, weights(copy, "vae"), metadata={"format": "pt"})
    network = load(copy, "vae", dtype=torch.float16)[0]["vae"]
    content = weights(copy, "vae").read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    with weights(copy, "vae").open("r+b") as stream:
        stream.seek(start)
        stream.write(bytes(len(content) - start))
    assert not any(tensor.any() for tensor in network.state_dict().values())


@pytest.mark.parametrize("saved", [torch.float16, torch.bfloat16])
def test_an_autoencoder_in_float32_beside_float16_keeps_the_halves_of_its_file(
    folder: Path, copy: Path, saved: torch.dtype
) -> None:
    tensors = {key: tensor.to(saved) for key, tensor in load_file(weights(folder, "vae")).items()}
    save_file(tensors, weights(copy, "vae"), metadata={"format": "pt"})
    wide, narrow = (
        load(copy, "clip", "vae", dtype=dtype, vae=torch.float32)[0]["vae"] for dtype in (torch.float32, torch.float16)
    )
    assert {tensor.dtype for tensor in wide.state_dict().values()} == {torch.float32}
    kept = {name for name, tensor in narrow.state_dict().items() if tensor.dtype == saved}
    assert {"decoder.up_blocks.0.resnets.0.conv1.weight", "decoder.mid_block.attentions.0.to_q.weight"} <= kept
    assert all(torch.equal(tensor.float(), tensors[name].float()) for name, tensor in narrow.state_dict().items())
    outside = ("encoder.conv_in", "encoder.conv_out", "decoder.conv_in", "decoder.conv_out", "quant_conv")
    assert not any(name.startswith(outside) or "norm" in name or name.endswith("bias") for name in kept)
    pixels = torch.randn((1, 3, 32, 32), generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        latents = [network.encode(pixels).latent_dist.mode() for network in (wide, narrow)]
        assert torch.equal(*latents)
        assert torch.equal(*(network.decode(latents[0]).sample for network in (wide, narrow)))


def test_an_autoencoder_whose_file_holds_float32_stays_so_beside_float16(folder: Path) -> None:
    found = load(folder, "clip", "vae", dtype=torch.float16, vae=torch.float32)[0]["vae"]
    assert {tensor.dtype for tensor in found.state_dict().values()} == {torch.float32}


def test_float32_is_copied_only_where_results_depend_on_where_it_lies(folder: Path, copy: Path) -> None:
    """Whatever lies before it in the file: what a single row is multiplied with is aligned, the rest stays there."""
    wanted, ids = load(folder, "projected")[0]["text_encoder_2"], torch.arange(24)[None] * 2
    before = {key: tensor.clone() for key, tensor in load_file(weights(copy, "projected")).items()}
    for more in range(4):
        save_file({**before, "a": torch.zeros(more)}, weights(copy, "projected"), metadata={"format": "pt"})
        network = load(copy, "projected")[0]["text_encoder_2"]
        with torch.inference_mode():
            assert torch.equal(network(ids).text_embeds, wanted(ids).text_embeds)
        content = weights(copy, "projected").read_bytes()
        start = 8 + int.from_bytes(content[:8], "little")
        with weights(copy, "projected").open("r+b") as stream:
            stream.seek(start)
            stream.write(bytes(len(content) - start))
        found = network.state_dict()
        inside = {name for name in found if ".layers." in name and name.endswith("weight") and "norm" not in name}
        inside |= {name for name in found if "embedding.weight" in name}
        assert len(inside) == 3 * 6 + 2
        assert not any(found[name].any() for name in inside)  # what is written to the file shows in them
        assert not any(found[name].data_ptr() % 64 for name in found.keys() - inside)


SPOILT: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "lacks a tensor": ("vae", lambda f: edit_weights(f, drop="decoder.conv_in.weight"), "lacks decoder.conv_in.weight"),
    "lacks the witness": (
        "vae",
        lambda f: edit_weights(f, drop="decoder.mid_block.attentions.0.to_q.weight"),
        "lacks decoder.mid_block.attentions.0.to_q.weight",
    ),
    "another shape": (
        "vae",
        lambda f: edit_weights(f, reshape="decoder.conv_in.weight"),
        r"wrong shape for decoder\.conv_in\.weight\.\n.* makes \(1,\), and the vae .* needs \(32, 16, 3, 3\)",
    ),
    "lacks the embeddings": ("t5", lambda f: edit_weights(f, drop="shared.weight"), "lacks .*shared.weight"),
    "lacks the projection": (
        "projected",
        lambda f: edit_weights(f, drop="text_projection.weight"),
        "lacks text_projection.weight",
    ),
    "cut short": ("clip", lambda f: truncate(f), "text_encoder/model.safetensors is damaged"),
    "another architecture": (
        "vae",
        lambda f: edit(f.parent / "config.json", down_block_types=["Nothing"]),
        "cannot be built from its configuration",
    ),
    "scales beside 8 bits": (
        "t5",
        lambda f: save_file({**load_file(f), "encoder.block.0.layer.0.SelfAttention.q.scale_weight": torch.ones(1)}, f),
        "packed in a way that is not supported",
    ),
}


@pytest.mark.parametrize("what", SPOILT)
def test_spoilt_weights_are_one_clear_error(copy: Path, what: str) -> None:
    name, spoil, message = SPOILT[what]
    spoil(weights(copy, name))
    with pytest.raises(ModelError, match=message) as caught:
        load(copy, name)
    assert SPECS[name].name in caught.value.what
    assert caught.value.remedy


def test_all_parts_are_checked_before_the_first_tensor_is_read(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from latentry_diffusers.files.weight_files import WeightFiles

    monkeypatch.setattr(WeightFiles, "read", lambda self, name: pytest.fail("a tensor was read"))
    edit_weights(weights(copy, "vae"), drop="decoder.conv_in.weight")
    with pytest.raises(ModelError, match="lacks"):
        load(copy, *SPECS)


def test_what_is_unexpected_is_named_and_what_is_useless_counted(copy: Path) -> None:
    more = {"extra.weight": torch.zeros(2), "logit_scale": torch.zeros(1)}
    save_file({**load_file(weights(copy, "clip")), **more}, weights(copy, "clip"), metadata={"format": "pt"})
    networks, report = load(copy, "clip")
    assert report == LoadReport(len(networks["text_encoder"].state_dict()), (), ("text_encoder.extra.weight",), 1)
