"""Checks of LoRAs: they match, take effect, and leave the weights as they were."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import torch
from torch import Tensor, nn

from latentry._contract._lora import LoraMode, LoraRequest
from latentry._contract._model import Model, VariesLoras, takes_rows_of_lora_weights
from latentry._errors import IncompatibleError, LatentryError
from latentry._specs import VariantSpec
from latentry.testing._family._inputs import DIFFERENT, SAME, Given, apart, given, predicted
from latentry.testing._family._subject import FamilySubject
from latentry.testing._kit._record import summed
from latentry.testing._result import CheckResult

RANK = 2


def loras(subject: FamilySubject) -> Iterator[CheckResult]:
    """A LoRA of the denoiser in PEFT's layout is matched, changes the prediction, and leaves no trace at the end.

    Troubleshooting: keep the weights of the checkpoint, or compute the change beside them; subtracting what was added
    does not give the same bits. For networks without LoRAs, exempt ``loras``.
    """
    for variant in subject.variants:
        with TemporaryDirectory() as folder:
            faults = list(_faults(subject, variant, Path(folder)))
        yield summed("loras", "matched, applied, removed", faults, case=variant.name)


def _faults(subject: FamilySubject, variant: VariantSpec, folder: Path) -> Iterator[str]:
    model, inputs = subject.model(variant), given(subject, variant)
    path, layers = _write(model, folder / "lora.safetensors")
    (match,) = subject.checkpoint(variant).match_loras([path])
    if match.layers != layers or match.unmatched:
        yield f"{match.layers} of {layers} layers are matched"
    yield from _refusals(subject, variant, folder)
    own, before = predicted(model, inputs), _state(model)
    changed = {}
    for mode in get_args(LoraMode):
        with model.set_loras([LoraRequest(path=str(path))], mode):
            changed[mode] = predicted(model, inputs)
        if apart(changed[mode], own) < DIFFERENT:
            yield f"{mode}: no effect on the prediction"
        yield from _traces(model, inputs, own, before, f"{mode}, at the end of the block")
    off = apart(changed["merged"], changed["unmerged"])
    if off > SAME:
        yield f"merged and unmerged differ by {off:.1e}"
    with model.set_loras([LoraRequest(path=str(path), weight=0.0)]):
        if apart(predicted(model, inputs), own) > SAME:
            yield "a weight of 0 has an effect"
    yield from _by_rows(model, inputs, path)
    try:
        with model.set_loras([LoraRequest(path=str(path))]):
            raise KeyError
    except KeyError:
        pass
    yield from _traces(model, inputs, own, before, "after an exception")


def _by_rows(model: Model, inputs: Given, path: Path) -> Iterator[str]:
    """Where it says that rows may have weights of their own, each row is that of a batch with its weight."""
    if not takes_rows_of_lora_weights(model):
        return
    if not isinstance(model, VariesLoras):
        yield "rows_of_lora_weights is True, and there is no weighing"
        return
    weights, expected = [(1.0,), (-0.5,)], []
    for index, (weight,) in enumerate(weights):
        with model.set_loras([LoraRequest(path=str(path), weight=weight)]):
            expected.append(predicted(model, inputs.row(index)))
    with model.set_loras([LoraRequest(path=str(path)).opened]), model.weighing(weights):
        found = predicted(model, inputs)
    if (off := apart(found, torch.cat(expected))) > SAME:
        yield f"rows with weights of their own differ from each alone by {off:.1e}"


def _write(model: Model, path: Path) -> tuple[Path, int]:
    """A random LoRA for the denoiser's linear layers, and their number."""
    from safetensors.torch import save_file

    part, denoiser = next((p, n) for p, n in model.networks.items() if p in ("unet", "transformer", "denoiser"))
    generator = torch.Generator().manual_seed(0)
    tensors: dict[str, Tensor] = {}
    linear = [(name, layer) for name, layer in denoiser.named_modules() if isinstance(layer, nn.Linear)]
    for name, layer in linear:
        down = torch.randn(RANK, layer.in_features, generator=generator) / layer.in_features**0.5
        up = torch.randn(layer.out_features, RANK, generator=generator) / RANK**0.5
        tensors |= {f"{part}.{name}.lora_A.weight": down, f"{part}.{name}.lora_B.weight": up * 0.3}
    save_file(tensors, path)
    return path, len(linear)


def _refusals(subject: FamilySubject, variant: VariantSpec, folder: Path) -> Iterator[str]:
    """Any other file than a LoRA of this model is refused with one clear error."""
    from safetensors.torch import save_file

    layer = "transformer.layers_of_another_model.0.to_q"
    other = folder / "other.safetensors"
    save_file({f"{layer}.lora_A.weight": torch.ones(2, 3), f"{layer}.lora_B.weight": torch.ones(3, 2)}, other)
    cut = folder / "cut.safetensors"
    cut.write_bytes(other.read_bytes()[:60])
    for what, path, expected in (
        ("a LoRA of another model", other, IncompatibleError),
        ("a damaged LoRA", cut, LatentryError),
        ("a LoRA that does not exist", folder / "absent.safetensors", LatentryError),
    ):
        try:
            subject.checkpoint(variant).match_loras([path])
        except expected:
            continue
        except Exception as error:
            yield f"{what}: {type(error).__name__}"
        else:
            yield f"{what} is matched"


def _state(model: Model) -> dict[str, Tensor]:
    return {
        f"{part}.{name}": tensor.clone()
        for part, network in model.networks.items()
        for name, tensor in network.state_dict().items()
    }


def _traces(model: Model, inputs: Given, own: Tensor, before: dict[str, Tensor], when: str) -> Iterator[str]:
    after = _state(model)
    kept = [name for name in before if name not in after or not torch.equal(after[name], before[name])]
    if kept or after.keys() != before.keys():
        yield f"{when}: {len(kept)} weights are not as before, e.g. {next(iter(kept), 'one that was added')}"
    elif not torch.equal(predicted(model, inputs), own):
        yield f"{when}: the prediction is another"
