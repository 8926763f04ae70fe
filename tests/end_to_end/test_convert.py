"""A model goes from form to form and stays the same, as someone converts it who has files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from support.commandline import CommandLine
from support.gguf_files import part_as_gguf, through
from support.models import PROMPT, copied, edit, write_stable_diffusion
from support.models_flux import write_flux
from support.models_sd3 import write_stable_diffusion_3
from support.models_sdxl import write_stable_diffusion_xl
from support.published import TRAINED, networks, single_file
from support.sparse import write_sparse
from torch import Tensor

from latentry import (
    Engine,
    GenerationRequest,
    IncompatibleError,
    ModelFiles,
    OptionError,
    PluginHost,
    ResourceError,
    VariancePreserving,
)
from latentry.models import Conversion
from latentry_diffusers.bundle.networks import common_name
from latentry_flux.release import convert as convert_flux
from latentry_sd.checkpoint import open_checkpoint as open_sd
from latentry_sd.detect import detect
from latentry_sd.release import convert as convert_sd

pytestmark = pytest.mark.slow


class Family(NamedTuple):
    write: Callable[[Path], Path]
    name: str
    variant: str


FAMILIES: Mapping[str, Family] = {
    "sd": Family(write_stable_diffusion, "sd", "sd15"),
    "sd-inpainting": Family(partial(write_stable_diffusion, inpainting=True), "sd", "sd15-inpainting"),
    "sdxl": Family(write_stable_diffusion_xl, "sdxl", "base"),
    "refiner": Family(partial(write_stable_diffusion_xl, kind="refiner"), "sdxl", "refiner"),
    "sd3": Family(write_stable_diffusion_3, "sd3", "sd35-medium"),
    "flux": Family(write_flux, "flux", "dev"),
}
DRAWING = frozenset({"sd", "sdxl", "sd3", "flux"})
"""Those that draw from a prompt alone."""


class Way(NamedTuple):
    """One model, folder → single file → folder → shards → folder.

    Attributes:
        family: its key in ``FAMILIES``.
        source: what it began as.
        single: the file and those beside it.
        folder: made of these.
        sharded: made of that.
        again: made of the shards.
    """

    family: str
    source: Path
    single: Sequence[Path]
    folder: Path
    sharded: Path
    again: Path


@pytest.fixture(scope="module", params=FAMILIES)
def way(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Way:
    root, family = tmp_path_factory.mktemp("way"), FAMILIES[request.param]
    source = family.write(root / "source")
    convert = PluginHost().families.load(family.name, "converter")

    def run(files: ModelFiles, out: str, to: Any) -> tuple[Path, ...]:
        return tuple(convert(files, family.variant, Conversion(root / out, to, "300KB")))

    single = run(ModelFiles(source), "single.safetensors", "single")
    beside = tuple(("vae" if ".vae." in path.name else "text-encoder", path) for path in single[1:])
    (folder,) = run(ModelFiles(single[0], beside, source), "folder", "folder")
    (sharded,) = run(ModelFiles(folder), "sharded", "sharded")
    (again,) = run(ModelFiles(sharded), "again", "folder")
    return Way(request.param, source, single, folder, sharded, again)


def tensors(folder: Path) -> dict[str, Tensor]:
    """Of all parts."""
    files = {file: load_file(file) for file in sorted(folder.rglob("*.safetensors"))}
    return {
        f"{f.parent.name} {common_name(name)}": tensor for f, held in files.items() for name, tensor in held.items()
    }


def test_no_bit_changes_on_the_way(way: Way) -> None:
    began = tensors(way.source)
    for folder in (way.folder, way.sharded, way.again):
        found = tensors(folder)
        assert found.keys() == began.keys()
        assert all(torch.equal(found[name], tensor) for name, tensor in began.items())


def test_all_else_comes_along(way: Way) -> None:
    began = {file.relative_to(way.source) for file in way.source.rglob("*.json")}
    for folder in (way.folder, way.again):
        assert {file.relative_to(folder) for file in folder.rglob("*.json")} == began
        for file in began - {Path("model_index.json")}:
            assert json.loads((folder / file).read_text()) == json.loads((way.source / file).read_text()), file
        assert {file.parent.name for file in folder.rglob("*.safetensors")} == {
            file.parent.name for file in way.source.rglob("*.safetensors")
        }


def test_the_index_names_what_is_there(way: Way) -> None:
    began = json.loads((way.source / "model_index.json").read_text())
    for folder in (way.folder, way.again):
        found = json.loads((folder / "model_index.json").read_text())
        assert found["_class_name"] == began["_class_name"]
        for name in began.keys() | found.keys():
            value = found.get(name, began.get(name))
            if isinstance(value, list):
                assert (value == [None, None]) != (folder / name).is_dir(), name


def test_shards_are_no_larger_than_asked(way: Way) -> None:
    assert len(list(way.sharded.rglob("*.safetensors.index.json"))) >= 2
    for file in way.sharded.rglob("*.safetensors"):
        held = load_file(file)
        assert len(held) == 1 or sum(tensor.nbytes for tensor in held.values()) <= 300_000


def test_every_form_draws_the_same(way: Way) -> None:
    if way.family not in DRAWING:
        pytest.skip("needs a picture to begin from")
    engine = Engine(PluginHost())
    options: dict[str, Any] = {"prompt": PROMPT, "steps": 2, "seed": 3, "guidance": 2.0}
    encoders = tuple(str(path) for path in way.single[1:] if "text_encoder" in path.name)
    apart = {"vae": next((str(path) for path in way.single if ".vae." in path.name), None), "text_encoders": encoders}
    drawn = [engine.generate(GenerationRequest(model=str(way.source), **options)).latents]
    drawn += [engine.generate(GenerationRequest(model=str(folder), **options)).latents for folder in way[3:]]
    single = GenerationRequest(model=str(way.single[0]), config=str(way.source), **apart, **options)
    drawn.append(engine.generate(single).latents)
    assert all(torch.equal(latents, drawn[0]) for latents in drawn[1:])


def test_someone_converts_there_and_back(tiny: Path, latentry: CommandLine, tmp_path: Path) -> None:
    done = latentry("convert", tiny, "one.safetensors", "--to", "single", folder=tmp_path)
    assert (done.code, done.out) == (0, "latentry-sd:sd, sd15: one.safetensors\n"), done.err
    assert done.err == "Writing one.safetensors\n"
    options = ("--to", "sharded", "--max-shard-size", "1MB", "--config", tiny, "--json")
    done = latentry("convert", "one.safetensors", "back", *options, folder=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out) == {
        "family": "latentry-sd:sd",
        "variant": "sd15",
        "to": "sharded",
        "made": ["back"],
    }
    found, began = tensors(tmp_path / "back"), tensors(tiny)
    assert found.keys() == began.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in began.items())


@pytest.mark.parametrize("name", sorted(PluginHost().checkpoints))
def test_every_installed_model_goes_there_and_back(name: str, tmp_path: Path) -> None:
    host = PluginHost()
    spec, source = host.checkpoints[name], Path(host.checkpoints.load(name)())
    if not any(source.rglob("*.safetensors")):
        pytest.skip(f"{name} has no weights here")
    convert = host.families.load(spec.family, "converter")
    single = convert(ModelFiles(source), spec.variant, Conversion(tmp_path / "one.safetensors", "single"))
    beside = tuple(("vae" if ".vae." in path.name else "text-encoder", path) for path in single[1:])
    convert(ModelFiles(single[0], beside, source), spec.variant, Conversion(tmp_path / "back", "sharded", "1MB"))
    found, began = tensors(tmp_path / "back"), tensors(source)
    assert found.keys() == began.keys()
    assert all(torch.equal(found[key], tensor) for key, tensor in began.items())
    assert besides(source) <= besides(tmp_path / "back")
    engine, tasks = Engine(host), next(v.tasks for v in host.families[spec.family].variants if v.name == spec.variant)
    parts = {"vae": None, "text_encoders": ()} if not beside else _parts(beside)
    wanted = {"prompt": PROMPT, "steps": 2, "guidance": 2.0, "seed": 1, "width": spec.size, "height": spec.size}
    pictures = {"init_image": Image.new("RGB", (64, 64)), "mask": Image.new("L", (64, 64), 255)}
    given = {} if "text-to-image" in tasks else pictures
    forms = (
        {"model": name},
        {"model": str(single[0]), "config": str(source), **parts},
        {"model": str(tmp_path / "back")},
    )
    first, *others = (engine.generate(GenerationRequest(**wanted, **form), **given).latents for form in forms)
    assert all(torch.equal(first, other) for other in others)


def besides(folder: Path) -> set[Path]:
    """Files that hold no weights."""
    return {file.relative_to(folder) for file in folder.rglob("*.*") if file.suffix != ".safetensors"}


def _parts(beside: Sequence[tuple[str, Path]]) -> dict[str, Any]:
    """Files of single parts, as a request has them."""
    (vae,) = (str(path) for role, path in beside if role == "vae")
    return {"vae": vae, "text_encoders": tuple(str(path) for role, path in beside if role == "text-encoder")}


def test_what_no_form_has_a_place_for_is_told(tiny: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = copied(tiny, tmp_path / "source")
    file = next((source / "unet").glob("*.safetensors"))
    save_file({**load_file(file), "mystery": torch.ones(1)}, file)
    convert_sd(ModelFiles(source), "sd15", Conversion(tmp_path / "out", "folder"))
    assert [record.getMessage() for record in caplog.records] == ["unknown tensors are left out: unet.mystery"]


def test_what_is_there_is_not_overwritten(tiny: Path, latentry: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "kept.safetensors").write_text("kept")
    done = latentry("convert", tiny, "kept.safetensors", "--to", "single", folder=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "already exists" in done.err
    with pytest.raises(OptionError, match="already exists"):
        convert_sd(ModelFiles(tiny), "sd15", Conversion(tmp_path, "folder"))
    assert (tmp_path / "kept.safetensors").read_text() == "kept"
    assert [file.name for file in tmp_path.iterdir()] == ["kept.safetensors"]


@pytest.mark.parametrize("to", ["single", "folder"])
def test_a_shards_size_without_shards_is_refused(tiny: Path, latentry: CommandLine, tmp_path: Path, to: str) -> None:
    done = latentry("convert", tiny, "out.safetensors", "--to", to, "--max-shard-size", "1MB", folder=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "1MB has no effect" in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("out", "options", "said"),
    [
        ("out", {"to": "single"}, "safetensors"),
        ("out", {"to": "sharded", "max_shard_size": "huge"}, "5GB"),
        ("out", {"to": "sharded", "max_shard_size": "0GB"}, "5GB"),
        ("out", {"to": "sharded", "max_shard_size": "-1GB"}, "5GB"),
        ("out", {"to": "folder", "dtype": "int8"}, "float16"),
        ("absent/out", {"to": "folder"}, "Create it"),
    ],
)
def test_what_cannot_be_is_refused(tiny: Path, tmp_path: Path, out: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError) as error:
        convert_sd(ModelFiles(tiny), "sd15", Conversion(tmp_path / out, **options))
    assert said in error.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_a_model_is_refused(latentry: CommandLine, tmp_path: Path) -> None:
    lora = {f"unet.down_blocks.1.attentions.0.proj_in.lora_{end}.weight": torch.ones(4, 4) for end in ("A", "B")}
    save_file(lora, tmp_path / "lora.safetensors")
    done = latentry("convert", "lora.safetensors", "out", "--to", "folder", folder=tmp_path)
    assert done.code == 2
    assert "not a model" in done.err
    assert not (tmp_path / "out").exists()


def test_a_conversion_that_is_cancelled_leaves_nothing(tiny: Path, tmp_path: Path) -> None:
    def stop(text: str, done: int, total: int) -> None:
        assert list(tmp_path.iterdir()) != []
        if done == total // 2:
            raise KeyboardInterrupt

    for out, to in (("out", "folder"), ("out.safetensors", "single")):
        with pytest.raises(KeyboardInterrupt):
            convert_sd(ModelFiles(tiny), "sd15", Conversion(tmp_path / out, to, progress=stop))
        assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_too_full_is_told_beforehand(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = sum(tensor.nbytes for tensor in tensors(tiny).values())
    told: list[str] = []
    conversion = Conversion(tmp_path / "out", "folder", progress=lambda text, done, total: told.append(text))
    for free, fits in ((size - 1, False), (size, True)):
        monkeypatch.setattr("shutil.disk_usage", lambda path, free=free: type("Usage", (), {"free": free}))
        if fits:
            convert_sd(ModelFiles(tiny), "sd15", conversion)
        else:
            with pytest.raises(ResourceError, match="too little space"):
                convert_sd(ModelFiles(tiny), "sd15", conversion)
            assert told == []


def test_a_dtype_is_that_of_every_number(tiny: Path, tmp_path: Path) -> None:
    began = tensors(tiny)
    convert_sd(ModelFiles(tiny), "sd15", Conversion(tmp_path / "out", "folder", dtype="float16"))
    found = tensors(tmp_path / "out")
    assert all(torch.equal(found[name], tensor.half()) for name, tensor in began.items())
    assert json.loads((tmp_path / "out" / "text_encoder" / "config.json").read_text())["dtype"] == "float16"


def test_what_a_checkpoint_says_of_itself_stays(tiny_v: Path, tmp_path: Path) -> None:
    source = copied(tiny_v, tmp_path / "source")
    edit(source / "scheduler" / "scheduler_config.json", rescale_betas_zero_snr=True)
    file = next((source / "unet").glob("*.safetensors"))
    said = {"modelspec.title": "A title", "modelspec.hash_sha256": "0x12", "format": "pt"}
    save_file(load_file(file), file, metadata=said)
    (single,) = convert_sd(ModelFiles(source), "sd21", Conversion(tmp_path / "out.safetensors", "single"))
    with safe_open(single, "pt") as opened:
        metadata = opened.metadata()
        assert {"v_pred", "ztsnr"} <= set(opened.keys())
    assert metadata["modelspec.title"] == "A title"
    assert metadata["modelspec.prediction_type"] == "v"
    assert metadata["modelspec.architecture"] == "stable-diffusion-v2-768-v"
    assert "modelspec.hash_sha256" not in metadata  # of other bytes
    found = detect(ModelFiles(single))
    assert found is not None
    assert found.prediction == "v_prediction"


def test_quantised_weights_become_what_they_stand_for(tmp_path: Path) -> None:
    source = write_flux(tmp_path / "source")
    gguf = part_as_gguf(source / "transformer", tmp_path / "flux.gguf", "Q8_0")
    encoders = [("text-encoder", source / name) for name in ("text_encoder", "text_encoder_2")]
    files = ModelFiles(gguf, (("vae", source / "vae"), *encoders), source)  # type: ignore[arg-type]
    with pytest.raises(IncompatibleError, match="quantised"):
        convert_flux(files, "dev", Conversion(tmp_path / "out", "folder"))
    convert_flux(files, "dev", Conversion(tmp_path / "out", "folder", dtype="float32"))
    began, found = (load_file(next((f / "transformer").glob("*.safetensors"))) for f in (source, tmp_path / "out"))
    assert found.keys() == began.keys()
    assert all(torch.allclose(found[name], through(tensor, "Q8_0"), atol=1e-7) for name, tensor in began.items())


def own_numbers(source: Path) -> Path:
    """A folder with a noise schedule and a picture size of its own."""
    edit(source / "scheduler" / "scheduler_config.json", beta_end=0.02, beta_schedule="linear")
    edit(source / "unet" / "config.json", sample_size=12)
    return source


def test_a_models_own_defaults_are_in_the_single_file(tmp_path: Path) -> None:
    source = own_numbers(write_stable_diffusion(tmp_path / "source"))
    stated = {"latentry.guidance": "3.5"}
    (single,) = convert_sd(
        ModelFiles(source), "sd15", Conversion(tmp_path / "one.safetensors", "single", metadata=stated)
    )
    with safe_open(single, "np") as opened:
        metadata = opened.metadata()
    assert json.loads(metadata["latentry.scheduler"])["beta_end"] == 0.02
    assert (metadata["latentry.sample_size"], metadata["latentry.guidance"]) == ("12", "3.5")
    files = ModelFiles(single, (), source)
    (folder,) = convert_sd(files, "sd15", Conversion(tmp_path / "back", "folder"))
    engine = Engine(PluginHost())
    for model, config in ((single, source), (folder, None)):
        request = GenerationRequest(prompt="a", model=str(model), config=config and str(config), steps=2)
        assert engine.prepare(request).request.guidance == 3.5
        assert engine.prepare(request.model_copy(update={"guidance": 2.0})).request.guidance == 2.0


def test_a_single_file_is_read_by_what_it_says_of_itself(tmp_path: Path) -> None:
    """Of published shapes, so that nothing else says it; what is damaged counts as unsaid."""
    words = write_stable_diffusion(tmp_path / "words") / "tokenizer"
    shapes = {**single_file("sd", "sd15", networks("sd", "sd15")), **TRAINED}
    scheduler = json.dumps({"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02})
    good = {"latentry__scheduler": scheduler, "latentry__sample_size": "96", "latentry__guidance": "3.5"}
    bad = {"latentry__scheduler": "[1", "latentry__sample_size": "-3", "latentry__guidance": "inf"}
    opened = {}
    for name, stated in {"said": good, "unsaid": {}, "damaged": bad}.items():
        file = write_sparse(tmp_path / f"{name}.safetensors", shapes, **stated)
        opened[name] = open_sd(ModelFiles(file, (("tokenizer", words),)), "sd15")
    assert (opened["said"].size, opened["unsaid"].size, opened["damaged"].size) == (768, 512, 512)
    assert [each.own_guidance for each in opened.values()] == [3.5, None, None]
    linear = VariancePreserving.from_betas(schedule="linear", start=1e-4, end=0.02)
    assert opened["said"].noise.process == linear
    assert opened["unsaid"].noise == opened["damaged"].noise != opened["said"].noise


def test_an_installed_models_guidance_comes_along(latentry: CommandLine, tmp_path: Path) -> None:
    """Drawn from the file as from the installed model, with nothing typed but where its configuration is."""
    host = PluginHost()
    assert host.checkpoints["shapes"].guidance != host.families["sd"].variants[0].guidance
    done = latentry("convert", "shapes", "one.safetensors", "--to", "single", "-q", folder=tmp_path)
    assert done.code == 0, done.err
    config = str(host.checkpoints.load("shapes")())
    request = GenerationRequest(prompt="a", model=str(tmp_path / "one.safetensors"), config=config)
    assert Engine(host).prepare(request).request.guidance == host.checkpoints["shapes"].guidance
