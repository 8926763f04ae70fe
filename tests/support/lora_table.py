"""How far our results are from the reference, for every kind of adapter on the networks of every family.

``python -m support.lora_table > ../docs/lora.md``, in this folder's parent, writes the page.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from math import ceil, floor, log10
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from latentry import LoraMode, LoraRequest
from latentry_diffusers.lora import Adapters
from support.loras import write
from support.peft_adapters import CONFIGS, merged, save, with_adapter
from support.tiny_networks import families, run

MODES: tuple[LoraMode, ...] = ("unmerged", "merged")
DENOISERS = ("unet", "transformer")


class Made(NamedTuple):
    """Tensors of an adapter for one layer, and the weight that a formula makes with them, in float64."""

    tensors: Mapping[str, Tensor]
    weight: Tensor


def _normal(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


def tucker(weight: Tensor) -> Made:
    """LoRA with a core for convolutions; linear layers have none."""
    outputs, inputs, *kernel = weight.shape
    if not kernel:
        up, down = 0.2 * _normal(outputs, 2), _normal(2, inputs) / inputs**0.5
        return Made({"lora_up.weight": up, "lora_down.weight": down}, weight + up @ down)
    up, mid, down = 0.2 * _normal(outputs, 2, 1, 1), _normal(2, 2, *kernel) / 3, _normal(2, inputs, 1, 1) / inputs**0.5
    change = sum(up[:, p].view(-1, 1, 1, 1) * mid[p, q] * down[q].view(-1, 1, 1) for p in range(2) for q in range(2))
    return Made({"lora_up.weight": up, "lora_mid.weight": mid, "lora_down.weight": down}, weight + change)


def magnitude_by_inputs(weight: Tensor) -> Made:
    """DoRA with a norm for each input."""
    outputs, inputs, *kernel = weight.shape
    up, down = 0.2 * _normal(outputs, 2), _normal(2, weight[0].numel()) / weight[0].numel() ** 0.5
    raw = weight + (up @ down).view(weight.shape)
    shape = (1, inputs, *[1] * len(kernel))
    norms = torch.stack([raw[:, i].norm() for i in range(inputs)]).view(shape)
    magnitude = norms * (1 + 0.2 * _normal(*shape))
    tensors = {
        "lora_up.weight": up.view(outputs, 2, *[1] * len(kernel)),
        "lora_down.weight": down.view(2, inputs, *kernel),
    }
    return Made(tensors | {"dora_scale": magnitude}, magnitude * raw / norms)


def rotated_outputs(weight: Tensor) -> Made:
    """LyCORIS' OFT, rescaled."""
    size = next(size for size in (4, 2, 1) if len(weight) % size == 0)
    blocks, rescale = 0.1 * _normal(len(weight) // size, size, size), 1 + 0.1 * _normal(len(weight), 1)
    q, one = torch.block_diag(*(blocks - blocks.mT)), torch.eye(len(weight), dtype=torch.float64)
    turned = ((one + q) @ torch.linalg.inv(one - q)).T @ weight.flatten(1)
    return Made({"oft_blocks": blocks, "rescale": rescale}, (rescale * turned).view(weight.shape))


def difference(weight: Tensor) -> Made:
    """A whole matrix."""
    change = 0.2 * _normal(*weight.shape) / weight[0].numel() ** 0.5
    return Made({"diff": change}, weight + change)


FORMULAS: Mapping[str, Callable[[Tensor], Made]] = {
    "LoRA, Tucker": tucker,
    "DoRA by inputs": magnitude_by_inputs,
    "OFT of LyCORIS, rescaled": rotated_outputs,
    "weight differences": difference,
}
"""Kinds and variants that PEFT does not have."""
KINDS = (*CONFIGS, *FORMULAS)


def reference_of(kind: str) -> str:
    """What a kind is compared with."""
    if kind in FORMULAS:
        return "formula, float64"
    return "PEFT, merged" if kind.startswith("OFT") else "PEFT"


class Row(NamedTuple):
    """The largest difference of one kind in one family.

    Attributes:
        kind: of ``KINDS``.
        family: ``sd``, …
        mode: how the adapter was applied.
        denoiser: the largest difference of the network's output, which is of order 1.
        text_encoders: the same over the family's text encoders.
    """

    kind: str
    family: str
    mode: LoraMode
    denoiser: float
    text_encoders: float


def measured(kinds: tuple[str, ...] = KINDS) -> Iterator[Row]:
    """All differences; a few minutes."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        found = families()
        networks = {id(network): network for parts, _ in found.values() for network in parts.values()}
        for network in networks.values():
            network.eval().requires_grad_(False)
        for kind in kinds:
            apart = {key: differences(network, kind) for key, network in networks.items()}
            for family, (parts, _) in found.items():
                for mode in MODES:
                    far = {part: apart[id(network)][mode] for part, network in parts.items()}
                    text = max(value for part, value in far.items() if part not in DENOISERS)
                    yield Row(kind, family, mode, next(far[part] for part in DENOISERS if part in far), text)


def differences(network: nn.Module, kind: str) -> dict[LoraMode, float]:
    """Of one network's outputs, with an adapter on all its linear layers and convolutions."""
    with tempfile.TemporaryDirectory() as folder:
        theirs = _by_formula(network, kind, Path(folder)) if kind in FORMULAS else _by_peft(network, kind, Path(folder))
        if float((theirs - run(network)).abs().max()) < 0.01:
            raise AssertionError(f"{kind} changes nothing that could differ")
        found = {}
        for mode in MODES:
            with Adapters({"unet": network}, lambda: ()).set([LoraRequest(path=folder)], mode):
                found[mode] = float((run(network) - theirs).abs().max())
    return found


def _by_peft(network: nn.Module, kind: str, folder: Path) -> Tensor:
    model = with_adapter(network, kind)
    save(model, folder)
    return run(merged(model) if kind.startswith("OFT") else model)


def _by_formula(network: nn.Module, kind: str, folder: Path) -> Tensor:
    expected, tensors = deepcopy(network), {}
    for name, layer in expected.named_modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            made = FORMULAS[kind](layer.weight.double())
            layer.weight.data = made.weight.float()
            tensors |= {f"{name}.{slot}": tensor.float() for slot, tensor in made.tensors.items()}
    write(folder / "adapter.safetensors", tensors)
    return run(expected)


def rounded_up(value: float) -> str:
    """With one digit, never less than it is."""
    if value == 0:
        return "0"
    exponent = floor(log10(value))
    digit = ceil(value / 10**exponent)
    return f"1e{exponent + 1}" if digit == 10 else f"{digit}e{exponent}"


HEAD = """# LoRA and related adapters

What runs, merged and unmerged, for the denoiser and the text encoders of every family, and how far the result is from
the reference's. Each adapter is random and changes all linear layers and convolutions of a small random network; a
number is the largest difference of the network's outputs, which are of order 1, in float32: of the denoiser, then of
the text encoders. `tests/parity/test_lora_page.py` measures again.

- PEFT is its own code on the same network and the same adapter. Its rotations (OFT) are compared with what it merges:
  unmerged, it sums overlapping patches in front of a convolution, which is another operation.
- Where PEFT has no such layout, the reference is the paper's formula, multiplied out for each layer in float64.
- Alpha, rank and weight mean what they mean in PEFT and LyCORIS. A weight scales what is added; DoRA's magnitudes hold
  for any weight, as in PEFT. PEFT cannot scale a rotation; here a weight takes that share of its difference. 0 is
  nothing at all.
- Several adapters add up, each as a change of the model's own weights, in any order. Rotations follow one another.
- Names of tensors are read as kohya, LyCORIS, OneTrainer, PEFT, diffusers, ComfyUI and XLabs (FLUX.1) write them.
- Refused by name: GLoRA, BOFT, VeRA, AdaLoRA, IA³, HRA, LoRAs of embeddings, and changes of normalisation layers.
"""


def page(rows: Iterator[Row]) -> str:
    """``docs/lora.md``."""
    found = {(row.kind, row.mode, row.family): row for row in rows}
    names = ("sd", "sdxl", "sd3", "flux")
    lines = [HEAD]
    for mode in MODES:
        lines += [
            f"## {mode.capitalize()}",
            "",
            f"| kind | reference | {' | '.join(names)} |",
            "|---|---|---|---|---|---|",
        ]
        for kind in dict.fromkeys(kind for kind, _, _ in found):
            cells = [found[kind, mode, family] for family in names]
            values = " | ".join(f"{rounded_up(row.denoiser)}, {rounded_up(row.text_encoders)}" for row in cells)
            lines.append(f"| {kind} | {reference_of(kind)} | {values} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    print(page(measured()), end="")
