"""How far a network read from each format of weights is from diffusers' own with the same values, in every family.

``python -m support.format_table > ../docs/formats.md``, in this folder's parent, writes the page.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import diffusers
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from latentry import ModelFiles
from latentry.models import PromptSettings
from latentry_diffusers.layouts import Pair, backward, forward
from latentry_diffusers.layouts.flux import flux_pairs
from latentry_diffusers.layouts.sd3 import sd3_pairs
from latentry_diffusers.layouts.unet import unet_pairs
from latentry_flux.packing import positions
from support.float8 import scaled_float8
from support.gguf_files import write_projections, write_rows_of_256
from support.lora_table import rounded_up
from support.models import PROMPT, write_stable_diffusion
from support.models_flux import write_flux
from support.models_sd3 import write_stable_diffusion_3
from support.models_sdxl import write_stable_diffusion_xl

Tensors = dict[str, Tensor]
CPU = torch.device("cpu")


class Family(NamedTuple):
    """One family with random weights."""

    write: Callable[[Path], Path]
    variant: str
    denoiser: str
    pairs: Callable[[Mapping[str, Any]], tuple[Pair, ...]]


FAMILIES: Mapping[str, Family] = {
    "sd": Family(write_stable_diffusion, "sd15", "unet", unet_pairs),
    "sdxl": Family(write_stable_diffusion_xl, "base", "unet", unet_pairs),
    "sd3": Family(write_stable_diffusion_3, "sd35-medium", "transformer", sd3_pairs),
    "flux": Family(write_flux, "dev", "transformer", flux_pairs),
}


class Format(NamedTuple):
    """A format of weights.

    Attributes:
        reference: where the values come from that diffusers is given.
        write: writes tensors to a file, whose suffix it is given without, and returns the file with its values.
        original: whether the tensors are those of the original layout; otherwise they have diffusers' names.
    """

    reference: str
    write: Callable[[Path, Tensors], tuple[Path, Tensors]]
    original: bool = True


def _plain(dtype: torch.dtype, path: Path, tensors: Tensors) -> tuple[Path, Tensors]:
    stored = {name: tensor.to(dtype).contiguous() for name, tensor in tensors.items()}
    save_file(stored, path.with_suffix(".safetensors"))
    return path.with_suffix(".safetensors"), {name: tensor.float() for name, tensor in stored.items()}


def _scaled(convention: Any, rows: bool, path: Path, tensors: Tensors) -> tuple[Path, Tensors]:
    stored, values = scaled_float8(tensors, convention, rows=rows)
    save_file(stored, path.with_suffix(".safetensors"))
    return path.with_suffix(".safetensors"), values


def _gguf(write: Callable[..., Tensors], type: str, path: Path, tensors: Tensors) -> tuple[Path, Tensors]:
    return path.with_suffix(".gguf"), write(path.with_suffix(".gguf"), tensors, type, "flux")


TORCH, PACKAGE = "torch's cast", "`gguf.quants.dequantize`"
TYPES = ("Q8_0", "Q5_1", "Q5_0", "Q4_1", "Q4_0", "Q6_K", "Q5_K", "Q4_K", "Q3_K", "Q2_K", "BF16")
FORMATS: Mapping[str, Format] = {
    "safetensors, diffusers' names": Format("the same file", partial(_plain, torch.float32), original=False),
    "safetensors, original layout": Format("the same values", partial(_plain, torch.float32)),
    "bfloat16": Format(TORCH, partial(_plain, torch.bfloat16)),
    "float16": Format(TORCH, partial(_plain, torch.float16)),
    "float8_e4m3fn": Format(TORCH, partial(_plain, torch.float8_e4m3fn)),
    "float8_e5m2": Format(TORCH, partial(_plain, torch.float8_e5m2)),
    "`scaled_fp8`, one scale": Format("weight · scale", partial(_scaled, "scaled_fp8", False)),
    "`scaled_fp8`, by rows": Format("weight · scale", partial(_scaled, "scaled_fp8", True)),
    "`comfy_quant`, one scale": Format("weight · scale", partial(_scaled, "comfy_quant", False)),
    "`comfy_quant`, by rows": Format("weight · scale", partial(_scaled, "comfy_quant", True)),
    **{f"GGUF {type}, rows of 256": Format(PACKAGE, partial(_gguf, write_rows_of_256, type)) for type in TYPES},
    "GGUF Q8_0, plain": Format(PACKAGE, partial(_gguf, write_projections, "Q8_0")),
    "GGUF Q4_0, plain": Format(PACKAGE, partial(_gguf, write_projections, "Q4_0")),
    "GGUF Q8_0, diffusers' names": Format(PACKAGE, partial(_gguf, write_projections, "Q8_0"), original=False),
}


class Row(NamedTuple):
    """The largest difference of the denoiser's output, as a share of the largest value of the reference's."""

    format: str
    family: str
    difference: float


def measured(formats: tuple[str, ...] = tuple(FORMATS), families: tuple[str, ...] = tuple(FAMILIES)) -> Iterator[Row]:
    """All differences; a few minutes."""
    with tempfile.TemporaryDirectory() as root:
        for name in families:
            folder = FAMILIES[name].write(Path(root) / name)
            for format in formats:
                yield Row(format, name, difference(name, folder, FORMATS[format], Path(root) / "file"))


@torch.no_grad()
def difference(name: str, folder: Path, format: Format, file: Path) -> float:
    """Between the denoiser that is read from a file and diffusers' own with the file's values."""
    family = FAMILIES[name]
    (weights,) = (folder / family.denoiser).glob("*.safetensors")
    own = load_file(weights)
    pairs = family.pairs(json.loads((folder / family.denoiser / "config.json").read_text())) if format.original else ()
    path, values = format.write(file, {pair.original: backward(pair, own).contiguous() for pair in pairs} or own)
    restored = {key: value for pair in pairs for key, value in forward(pair, values[pair.original]).items()} or values
    encoders = [("text-encoder", part) for part in sorted(folder.glob("text_encoder*"))]
    files = ModelFiles(path, (("vae", folder / "vae"), *encoders), folder)  # type: ignore[arg-type]
    model = import_module(f"latentry_{name}.checkpoint").open_checkpoint(files, family.variant).load(CPU, torch.float32)
    ours, given = _recorded(model)
    peer: Any = getattr(diffusers, type(model.denoiser).__name__).from_pretrained(folder / family.denoiser)
    peer.load_state_dict(restored)
    theirs: Tensor = peer.float()(*given[0], **_with_positions(given[1], model))[0]
    if not float(theirs.abs().max()) > 1e-4:
        raise AssertionError("the reference is nothing that could differ")
    return float((ours - theirs).abs().max() / theirs.abs().max())


def _with_positions(named: dict[str, Any], model: Any) -> dict[str, Any]:
    """What diffusers' FLUX transformer takes: positions, where our side gives the rows of its rotary table."""
    if "img_ids" not in named:
        return named
    _, height, width = model.latent_shape(64, 64)
    return named | {"txt_ids": torch.zeros(len(named["txt_ids"]), 3), "img_ids": positions(height, width, CPU)}


def _recorded(model: Any) -> tuple[Tensor, tuple[tuple[Any, ...], dict[str, Any]]]:
    """What the denoiser makes of a prompt and a noise, and what it was given."""
    found: list[Any] = []
    hook = model.denoiser.register_forward_hook(
        lambda module, args, kwargs, output: found.extend((output[0], (args, kwargs))), with_kwargs=True
    )
    x = torch.randn((1, *model.latent_shape(64, 64)), generator=torch.Generator().manual_seed(0))
    model.predict(x, 500.0, model.encode_prompt([PROMPT], PromptSettings(64, 64, guidance=3.5)))
    hook.remove()
    return found[0], found[1]


HEAD = """# Formats of weights

What is read, in every family, and how far the result is from diffusers' own network with the same values. The file
holds a small random denoiser, ours is loaded from it, and diffusers' is given the values that an independent reference
says the file has. A number is the largest difference of the two networks' outputs, as a share of the largest output, in
float32. `tests/parity/test_formats_page.py` measures again.

- *rows of 256*: every tensor without whole blocks is reshaped, its true shape in `comfy.gguf.orig_shape.NAME`; K-quants
  have random blocks, since the gguf package does not write them.
- *plain*: matrices whose rows are whole blocks are quantised; the projections of UNets have their ones exchanged: what
  is a 1×1 convolution in the network is a matrix in the file, and the reverse.
- GGUF's blocks stay packed in memory, those of convolutions too, and are dequantised in float32 as they are used.
- Float8 weights are cast, or multiplied by their scale, as they are loaded: they take the memory of the dtype that they
  run in. Scales of inputs are ignored.
- T5 and CLIP are read from the same formats; `tests/end_to_end/test_gguf.py` and `test_scaled_float8.py` compare them.
- Refused by name: pickles, bitsandbytes (4 and 8 bits), GPTQ, and formats with a scale for each block of a weight
  (MXFP8, NVFP4), where the request uses the part that is packed so.
"""


def page(rows: Iterator[Row]) -> str:
    """``docs/formats.md``."""
    found = {(row.format, row.family): row.difference for row in rows}
    lines = [HEAD, f"| format | reference | {' | '.join(FAMILIES)} |", f"|---|---|{'---|' * len(FAMILIES)}"]
    for name, format in FORMATS.items():
        cells = " | ".join(rounded_up(found[name, family]) for family in FAMILIES)
        lines.append(f"| {name} | {format.reference} | {cells} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(measured()), end="")
