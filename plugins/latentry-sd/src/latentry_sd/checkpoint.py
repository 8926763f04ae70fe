"""Opens a Stable Diffusion folder: configurations first, weights on request."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from logging import CRITICAL
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from latentry import LoadReport, ModelError, NoiseSettings, OptionError, variance_preserving_settings
from latentry_sd.detect import read_json

if TYPE_CHECKING:
    import torch

    from latentry_sd.model import StableDiffusion


@dataclass(frozen=True)
class StableDiffusionCheckpoint:
    """A folder in the diffusers layout whose configurations have been read.

    Attributes:
        path: the folder.
        variant: which checkpoint type it is.
        noise: from ``scheduler/scheduler_config.json``.
        unet: configuration of the UNet.
        vae: configuration of the autoencoder.
    """

    path: Path
    variant: str
    noise: NoiseSettings
    unet: Mapping[str, Any]
    vae: Mapping[str, Any]

    @property
    def factor(self) -> int:
        """Pixels of one latent's side."""
        return int(2 ** (len(self.vae["block_out_channels"]) - 1))

    @property
    def size(self) -> int:
        """Height and width in pixels of the training pictures."""
        return int(self.unet["sample_size"]) * self.factor

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """See ``latentry.Checkpoint``; sides are multiples of 8, as in every Stable Diffusion."""
        stride = max(8, self.factor)
        least = self.factor * 2 ** (len(self.unet["block_out_channels"]) - 1)
        if width % stride or height % stride or min(width, height) < least:
            near = [max(least, round(side / stride) * stride) for side in (width, height)]
            raise OptionError(
                f"This model cannot draw {width}×{height} pixels.",
                why=f"Width and height must be multiples of {stride}, {least} at least.",
                remedy=f"Use --width {near[0]} --height {near[1]}; it draws best at {self.size}×{self.size}.",
            )
        return (int(self.unet["in_channels"]), height // self.factor, width // self.factor)

    def load(self, device: torch.device, dtype: torch.dtype) -> StableDiffusion:
        """See ``latentry.Checkpoint``."""
        from latentry_sd.model import StableDiffusion

        return StableDiffusion(self, load_parts(self.path, device, dtype))


def open_checkpoint(path: Path, variant: str) -> StableDiffusionCheckpoint:
    """Reads the configurations of a Stable Diffusion folder.

    Raises:
        ModelError: one is missing or cannot be understood.
    """
    noise = variance_preserving_settings(_config(path / "scheduler" / "scheduler_config.json"))
    unet, vae = _config(path / "unet" / "config.json"), _config(path / "vae" / "config.json")
    for name, config, key, kind in (
        ("unet", unet, "sample_size", int),
        ("unet", unet, "in_channels", int),
        ("unet", unet, "block_out_channels", list),
        ("vae", vae, "block_out_channels", list),
    ):
        if not isinstance(config.get(key), kind):
            raise ModelError(
                f"{path / name / 'config.json'} cannot be used.",
                why=f"{key!r} is to be of type {kind.__name__}, and is {config.get(key, 'not there')!r}.",
                remedy="Get the checkpoint anew.",
            )
    return StableDiffusionCheckpoint(path, variant, noise, unet, vae)


def _config(file: Path) -> dict[str, Any]:
    content = read_json(file)
    if content is None:
        why = "It is not a JSON object." if file.exists() else "There is no such file."
        raise ModelError(f"{file} cannot be read.", why=why, remedy="Get the checkpoint anew, with all its files.")
    return content


@dataclass(frozen=True)
class Parts:
    """The networks of a checkpoint, ready to run, and what became of its tensors."""

    unet: Any
    vae: Any
    text_encoder: Any
    tokenizer: Any
    report: LoadReport


def load_parts(path: Path, device: torch.device, dtype: torch.dtype) -> Parts:
    """Loads the networks through diffusers and transformers, from safetensors alone and without the network.

    Raises:
        ModelError: a part is missing, damaged, or its tensors do not fit.
    """
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    with _quiet():
        unet, seen_unet = _part(path, "unet", UNet2DConditionModel.from_pretrained, torch_dtype=dtype)
        vae, seen_vae = _part(path, "vae", AutoencoderKL.from_pretrained, torch_dtype=dtype)
        text, seen_text = _part(path, "text_encoder", CLIPTextModel.from_pretrained, dtype=dtype)
    reports = {"unet": seen_unet, "vae": seen_vae, "text_encoder": seen_text}
    for network in (unet, vae, text):
        network.to(device).eval().requires_grad_(False)
    used = sum(len(network.state_dict()) for network in (unet, vae, text))
    unexpected = tuple(f"{part}.{key}" for part, seen in reports.items() for key in seen["unexpected_keys"])
    tokenizer = _tokenizer(path / "tokenizer", CLIPTokenizer.from_pretrained)
    if len(tokenizer) > text.config.vocab_size:
        raise ModelError(
            f"The tokenizer in {path} does not belong to the text encoder.",
            why=f"It knows {len(tokenizer):,} tokens, and the text encoder {text.config.vocab_size:,}.",
            remedy="Get the checkpoint anew, with all its files.",
        )
    return Parts(unet, vae, text, tokenizer, LoadReport(used, (), unexpected))


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars and no reports of the libraries' own: progress is the host's to show, faults are raised."""
    from diffusers.utils import logging as diffusers
    from transformers.utils import logging as transformers

    shown, levels = transformers.is_progress_bar_enabled(), [(m, m.get_verbosity()) for m in (diffusers, transformers)]
    transformers.disable_progress_bar()
    for module, _ in levels:
        module.set_verbosity(CRITICAL)
    try:
        yield
    finally:
        for module, level in levels:
            module.set_verbosity(level)
        if shown:
            transformers.enable_progress_bar()


def _tokenizer(folder: Path, load: Callable[..., Any]) -> Any:
    """transformers makes an empty tokenizer where there is no vocabulary, so that is looked for first."""
    if not any((folder / name).is_file() for name in ("tokenizer.json", "vocab.json")):
        raise ModelError(
            f"{folder} holds no vocabulary.",
            why="There is neither a tokenizer.json nor a vocab.json.",
            remedy="Get the checkpoint anew, with all its files.",
        )
    try:
        return load(folder, local_files_only=True)
    except Exception as error:  # tokenizers raises Exception itself
        raise _cannot(folder.parent, folder.name, error) from error


def _part(path: Path, name: str, load: Callable[..., Any], **options: Any) -> tuple[Any, dict[str, Any]]:
    folder = path / name
    if not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"{folder} holds no weights.", why="There is no .safetensors file.", remedy="Get the checkpoint anew."
        )
    try:
        network, seen = load(folder, use_safetensors=True, local_files_only=True, output_loading_info=True, **options)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise _cannot(path, name, error) from error
    lacking = sorted(key for key in seen["missing_keys"] if not key.endswith("position_ids"))
    wrong = [str(item[0] if isinstance(item, tuple) else item) for item in seen.get("mismatched_keys", ())]
    if lacking or wrong:
        what = "lacks" if lacking else "has the wrong shape for"
        keys = lacking or wrong
        shown = ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
        raise ModelError(
            f"The weights of {folder} do not fit its configuration: the file {what} {shown}.",
            remedy="Get the checkpoint anew: its weights and configurations must belong together.",
        )
    return network, seen


def _cannot(path: Path, name: str, error: Exception) -> ModelError:
    lines = [line.strip() for line in str(error).strip().splitlines()[:3]]  # torch names the key on the second
    return ModelError(
        f"The {name.replace('_', ' ')} in {path / name} cannot be loaded.",
        why=f"{type(error).__name__}: {' '.join(lines) or 'no reason given'}",
        remedy="Get the checkpoint anew, with all its files.",
    )
