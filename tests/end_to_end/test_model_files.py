"""One model in every form of files: the same tensors, and the same numbers out of them, bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import diffusers
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from support.files import original, places, write_saved, write_single
from support.models import PROMPT, write_stable_diffusion
from support.models_flux import write_flux
from support.models_sd3 import write_stable_diffusion_3
from support.models_sdxl import write_stable_diffusion_xl
from support.published import networks, single_file
from support.sparse import write_sparse

from latentry import Engine, GenerationRequest, ModelError, ModelFiles, PluginHost, Prediction, VariancePreserving
from latentry.models import PromptSettings
from latentry_flux.checkpoint import open_checkpoint as open_flux
from latentry_sd.checkpoint import open_checkpoint as open_sd
from latentry_sd3.checkpoint import open_checkpoint as open_sd3
from latentry_sdxl.checkpoint import open_checkpoint as open_sdxl

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
SETTINGS = PromptSettings(64, 64, guidance=3.5)
_PARTS = ("unet", "vae", "text_encoder")


class Case(NamedTuple):
    write: Callable[[Path], Path]
    open: Callable[[ModelFiles, str], Any]
    variant: str
    layout: str


CASES: Mapping[str, Case] = {
    "sd": Case(write_stable_diffusion, open_sd, "sd15", "sd"),
    "sd2": Case(write_stable_diffusion, open_sd, "sd21-base", "sd2"),
    "sdxl": Case(write_stable_diffusion_xl, open_sdxl, "base", "sdxl"),
    "refiner": Case(partial(write_stable_diffusion_xl, kind="refiner"), open_sdxl, "refiner", "refiner"),
    "sd3": Case(write_stable_diffusion_3, open_sd3, "sd35-medium", "sd3"),
    "flux": Case(write_flux, open_flux, "dev", "flux"),
}


class Made(NamedTuple):
    folder: Path
    model: Any
    case: Case

    def load(self, files: ModelFiles) -> Any:
        return self.case.open(files, self.case.variant).load(CPU, torch.float32)


@pytest.fixture(scope="module", params=CASES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    case = CASES[request.param]
    folder = case.write(tmp_path_factory.mktemp("models") / request.param)
    return Made(folder, case.open(ModelFiles(folder), case.variant).load(CPU, torch.float32), case)


def assert_same(model: Any, wanted: Any) -> None:
    """Every tensor, and what a prompt, a step and a picture become."""
    assert list(model.networks) == list(wanted.networks)
    for part, network in model.networks.items():
        found, expected = network.state_dict(), wanted.networks[part].state_dict()
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected), part
    for one, other in zip(_run(model), _run(wanted), strict=True):
        assert torch.equal(one, other)


def _run(model: Any) -> list[torch.Tensor]:
    shape = (1, *model.latent_shape(64, 64))
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    conditioning = model.encode_prompt([PROMPT], SETTINGS)
    pixels = torch.linspace(-1, 1, 3 * 64 * 64).reshape(1, 3, 64, 64)
    output = model.predict(x, 500.0, conditioning)
    return [*conditioning.tensors.values(), output, model.decode(output), model.encode(pixels)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_folder_loads_as_the_libraries_load_it(made: Made, dtype: torch.dtype) -> None:
    model = made.case.open(ModelFiles(made.folder), made.case.variant).load(CPU, dtype)
    for part, network in model.networks.items():
        library, name = (diffusers, "torch_dtype") if "text" not in part else (transformers, "dtype")
        kind = getattr(library, type(network).__name__)
        peer = kind.from_pretrained(made.folder / part, **{name: network.dtype}).state_dict()
        found = network.state_dict()
        assert found.keys() == peer.keys()
        for key, tensor in peer.items():
            assert found[key].dtype == tensor.dtype, key
            assert torch.equal(found[key], tensor), key


def test_a_sharded_folder_gives_the_same(made: Made, tmp_path: Path) -> None:
    folder = write_saved(made.folder, tmp_path / "sharded", made.model.networks, max_shard_size="200KB")
    assert len(list(folder.rglob("*.safetensors.index.json"))) >= 2
    model = made.load(ModelFiles(folder))
    assert_same(model, made.model)
    assert (model.report.missing, model.report.unexpected) == ((), ())


def test_halved_files_with_the_name_of_a_variant_load(made: Made, tmp_path: Path) -> None:
    halved = {part: deepcopy(network).half() for part, network in made.model.networks.items()}
    model = made.load(ModelFiles(write_saved(made.folder, tmp_path / "half", halved, suffix="fp16")))
    for part, network in model.networks.items():
        wanted = halved[part].state_dict()
        assert all(torch.equal(tensor, wanted[name].float()) for name, tensor in network.state_dict().items())


def test_a_single_file_in_the_original_layout_gives_the_same(made: Made, tmp_path: Path) -> None:
    wanted = places(made.case.layout)
    if made.case.layout == "flux":
        pytest.skip("published as four files")
    file = write_single(made.folder, tmp_path / "model.safetensors", wanted, alphas_cumprod=torch.ones(3))
    model = made.load(ModelFiles(file, config=made.folder))
    assert_same(model, made.model)
    assert (model.report.unexpected, model.report.ignored) == ((), 1)
    assert model.report.used == made.model.report.used


def test_stable_diffusion_3_files_leave_out_the_projection_of_clip_l(tmp_path: Path) -> None:
    """Published files do, and diffusers' loader puts the identity there, too; of CLIP-G's it is an error."""
    folder = write_stable_diffusion_3(tmp_path / "model")
    file = write_single(folder, tmp_path / "model.safetensors", places("sd3"))
    kept = load_file(file)
    first, second = (f"text_encoders.clip_{n}.transformer.text_projection.weight" for n in "lg")
    save_file({name: tensor for name, tensor in kept.items() if name != first}, file)
    model = open_sd3(ModelFiles(file, config=folder), "sd35-medium").load(CPU, torch.float32)
    clip, other = (text.encoder.state_dict() for text in model.clips)
    assert torch.equal(clip.pop("text_projection.weight"), torch.eye(len(kept[first])))
    assert torch.equal(other["text_projection.weight"], kept[second])
    assert (model.report.missing, model.report.unexpected) == ((), ())
    save_file({name: tensor for name, tensor in kept.items() if name != second}, file)
    with pytest.raises(ModelError, match=f"lacks {second}"):
        open_sd3(ModelFiles(file, config=folder), "sd35-medium").load(CPU, torch.float32)


def test_files_of_single_parts_give_the_same(made: Made, tmp_path: Path) -> None:
    """The network that draws, and the rest as --vae and --text-encoder, the text encoders in any order."""
    parts: list[tuple[Any, Path]] = []
    files: dict[str, Path] = {}
    for part, place in places(made.case.layout).items():
        files[part] = write_single(made.folder, tmp_path / f"{part}.safetensors", {part: place})
        role = "vae" if part == "vae" else "text-encoder"
        parts += [] if part in ("unet", "transformer") else [(role, files[part])]
    main = files.get("unet") or files["transformer"]
    model = made.load(ModelFiles(main, tuple(reversed(parts)), made.folder))
    assert_same(model, made.model)
    assert (model.report.unexpected, model.report.ignored) == ((), 0)


def test_files_with_the_names_of_the_libraries_give_the_same(made: Made) -> None:
    """Each part's own file out of the folder, and the tokenizers by their own option."""
    parts: list[tuple[Any, Path]] = [("tokenizer", made.folder)]
    main = made.folder
    for part in made.model.networks:
        (file,) = (made.folder / part).glob("*.safetensors")
        if part in ("unet", "transformer"):
            main = file
        else:
            parts.append(("vae" if part == "vae" else "text-encoder", file))
    assert_same(made.load(ModelFiles(main, tuple(parts), made.folder)), made.model)


def test_a_part_given_apart_takes_the_place_of_the_folders(made: Made, tmp_path: Path) -> None:
    network = made.model.networks["vae"]
    other: Any = diffusers.AutoencoderKL.from_config(network.config)
    other.save_pretrained(tmp_path / "vae")
    model = made.load(ModelFiles(made.folder, (("vae", tmp_path / "vae"),)))
    wanted = other.state_dict()
    assert all(torch.equal(wanted[name], tensor) for name, tensor in model.vae.state_dict().items())


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One Stable Diffusion, for what is the same in every family."""
    return write_stable_diffusion(tmp_path_factory.mktemp("models") / "plain")


def test_a_shape_that_is_not_published_asks_for_configurations(plain: Path, tmp_path: Path) -> None:
    file = write_single(plain, tmp_path / "model.safetensors", places("sd"))
    with pytest.raises(ModelError, match="does not have the shape of a published network") as caught:
        open_sd(ModelFiles(file, (("tokenizer", plain),)), "sd15")
    assert "--config FOLDER" in caught.value.remedy


def test_what_a_file_lacks_is_named_with_the_option_that_gives_it(plain: Path, tmp_path: Path) -> None:
    file = write_single(plain, tmp_path / "drawing.safetensors", {"unet": places("sd")["unet"]})
    with pytest.raises(ModelError, match=r"does not hold text_encoder, vae") as caught:
        open_sd(ModelFiles(file, config=plain), "sd15")
    assert caught.value.remedy == "Give --text-encoder FILE and --vae FILE, once for each."


def test_a_file_that_is_another_part_is_refused_before_weights_load(plain: Path, tmp_path: Path) -> None:
    files = {part: write_single(plain, tmp_path / f"{part}.safetensors", {part: places("sd")[part]}) for part in _PARTS}
    wrong = (("vae", files["text_encoder"]), ("text-encoder", files["text_encoder"]))
    with pytest.raises(ModelError, match=r"text_encoder\.safetensors is not an autoencoder of this model"):
        open_sd(ModelFiles(files["unet"], wrong, plain), "sd15")
    twice = (("vae", files["vae"]), *[("text-encoder", files["text_encoder"])] * 2)
    with pytest.raises(ModelError, match="is not a text encoder of this model"):
        open_sd(ModelFiles(files["unet"], twice, plain), "sd15")


def test_tensors_of_replaced_parts_are_counted_as_ignored(plain: Path, tmp_path: Path) -> None:
    file = write_single(plain, tmp_path / "model.safetensors", places("sd"), extra=torch.zeros(1))
    report = open_sd(ModelFiles(file, (("vae", plain / "vae"),), plain), "sd15").load(CPU, torch.float32).report
    assert report.unexpected == ("extra",)
    assert report.ignored == len(original(plain, "vae", places("sd")["vae"]))


def test_marks_in_a_file_say_what_the_network_predicts(plain: Path, tmp_path: Path) -> None:
    """In a file of published shape; where the configurations are given and say otherwise, it is refused."""
    shapes = single_file("sd", "sd15", networks("sd", "sd15"))
    file = write_sparse(tmp_path / "published.safetensors", {**shapes, "v_pred": (), "ztsnr": ()})
    noise = open_sd(ModelFiles(file, (("tokenizer", plain),)), "sd15").noise
    assert noise.prediction is Prediction.V
    assert noise.process == VariancePreserving.from_betas().zero_terminal_snr()
    own = write_single(plain, tmp_path / "own.safetensors", places("sd"), v_pred=torch.zeros(0))
    with pytest.raises(ModelError) as caught:
        Engine(PluginHost()).prepare(GenerationRequest(prompt="", model=str(own), config=str(plain)))
    assert "say that it predicts epsilon, and it holds the mark v_pred" in caught.value.why


def test_a_zero_snr_mark_counts_despite_configurations_and_warns(
    plain: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = write_single(plain, tmp_path / "model.safetensors", places("sd"), ztsnr=torch.zeros(0))
    assert open_sd(ModelFiles(plain), "sd15").noise.process == VariancePreserving.from_betas()
    with caplog.at_level("WARNING"):
        noise = open_sd(ModelFiles(file, config=plain), "sd15").noise
    assert noise.process == VariancePreserving.from_betas().zero_terminal_snr()
    assert [record.getMessage() for record in caplog.records] == [
        "model.safetensors holds the mark ztsnr: zero terminal SNR is used, which the configuration does not ask for"
    ]
    caplog.clear()
    stated = write_stable_diffusion(tmp_path / "stated", rescale_betas_zero_snr=True, timestep_spacing="trailing")
    assert open_sd(ModelFiles(file, config=stated), "sd15").noise.process == noise.process
    assert not caplog.records
