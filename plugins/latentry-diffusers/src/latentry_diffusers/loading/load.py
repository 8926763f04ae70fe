"""Loads networks: builds them on the meta device, then fills in tensors from memory-mapped files one by one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from latentry import ModelError
from latentry.models import LoadReport, layers_in_blocks
from latentry_diffusers.bundle.known_tensors import is_useless
from latentry_diffusers.bundle.networks import common_name
from latentry_diffusers.bundle.open import Bundle
from latentry_diffusers.bundle.sources import Part, Source
from latentry_diffusers.files.gguf.file import PLAIN
from latentry_diffusers.files.gguf.values import dequantised, is_quantised
from latentry_diffusers.loading.build import build
from latentry_diffusers.loading.narrow import with_narrow
from latentry_diffusers.loading.packed import kept_smaller, packed

Dtypes = Mapping[str, torch.dtype]
ALIGNMENT = 64
"""Alignment in bytes of the memory that torch allocates."""


def load_bundle(bundle: Bundle, device: torch.device, dtypes: Dtypes) -> tuple[dict[str, Any], LoadReport]:
    """Loads the networks onto the device, by part, with a report on their tensors.

    All are built and checked against the headers before the first tensor is read, and at most one tensor is in memory
    twice at any time. On the CPU a tensor that keeps its dtype stays in the memory-mapped file, unless it is float32,
    not aligned there, and may be multiplied with a single row: the same weights give the same numbers, bit for bit,
    whatever file they come from, for pictures of more than one token. The layers of an autoencoder in float32 beside
    networks in float16 keep what the file holds in half precision, and cast it when they run.

    Args:
        bundle: the parts.
        device: to load to.
        dtypes: of each part; tensors that are not floating point keep theirs.

    Raises:
        ModelError: a tensor is missing, has the wrong shape, or cannot be read.
    """
    networks = {name: build(part) for name, part in bundle.parts.items()}
    for name, part in bundle.parts.items():
        check_fit(part, networks[name], remedy=_remedy(bundle, part))
    half = torch.float16 in dtypes.values()
    for name, part in bundle.parts.items():
        # an autoencoder that only computes in float32 because float16 would overflow
        narrow = half and part.spec.role == "vae" and dtypes[name] == torch.float32
        fill(networks[name], part, device, dtypes[name], bundle.weights, narrow=narrow)
    return networks, load_report(bundle, networks)


def check_fit(part: Part, network: nn.Module, *, remedy: str) -> None:
    """Checks the shapes of a network against the headers of its part.

    Raises:
        ModelError: a tensor is missing or has another shape.
    """
    named = ((common_name(name), tensor) for name, tensor in network.state_dict().items())
    shapes = {name: tuple(tensor.shape) for name, tensor in named if name not in part.implied}
    sources = part.sources
    lacking = [name for name in shapes if name not in sources or not sources[name].is_there]
    wrong = [] if lacking else [name for name, shape in shapes.items() if not _fits(sources[name], name, shape)]
    if not lacking and not wrong:
        return
    prefix = part.prefix
    keys = [sources[name].key if name in sources else f"{prefix}{name}" for name in lacking or wrong]
    shown = ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
    why = ""
    if wrong:
        has, wanted = sources[wrong[0]].shape(wrong[0]), shapes[wrong[0]]
        why = (
            f"{keys[0]} makes {has or 'no such tensor'}, and the {part.spec.name} of this configuration needs {wanted}."
        )
    raise ModelError(
        f"The weights of {part.origin} do not fit its configuration: the file "
        f"{'lacks' if lacking else 'has the wrong shape for'} {shown}.",
        why=why,
        remedy=remedy,
    )


def _fits(source: Source, name: str, shape: tuple[int, ...]) -> bool:
    found = source.shape(name)
    if found is not None and source.weights.format == "gguf":
        # writers drop or add dimensions of 1: a 1×1 convolution is a linear layer, and leading ones are not kept
        return [side for side in found if side != 1] == [side for side in shape if side != 1]
    return found == shape


def fill(
    network: nn.Module,
    part: Part,
    device: torch.device,
    dtype: torch.dtype,
    weights: str = "plain",
    *,
    narrow: bool = False,
) -> None:
    """Fills a network on the meta device with its tensors.

    Args:
        network: to fill.
        part: where they lie.
        device: where they go.
        dtype: to compute in.
        weights: what those of its blocks are kept in, as in ``latentry.models.StoresWeights``.
        narrow: those of its blocks that the files hold in half precision stay so.
    """
    held = with_narrow(network, part) if narrow else frozenset()
    rounded = kept_smaller(network, part, weights)
    blocks = _blocks(network, part, dtype, rounded)
    anywhere = _anywhere(network)
    given: dict[str, Tensor] = {}  # T5 holds one tensor under two names
    tensors = network.state_dict(keep_vars=True)
    # what may be copied comes first, out of a mapping that goes with its pages
    for chosen in ([name for name in tensors if (name in anywhere) is stays] for stays in (False, True)):
        for name in chosen:
            empty, common = tensors[name], common_name(name)
            if common not in given:
                implied = common in part.implied
                tensor = (
                    torch.eye(*empty.shape) if implied else _read(part, common, weights if name in rounded else "plain")
                )
                keep = name in blocks and is_quantised(tensor)
                own = tensor.dtype if name in held else _dtype(network, name, dtype)
                moved = _moved(tensor, device, own, keep=keep)
                moved = moved.clone() if name not in anywhere and _is_misaligned(moved) else moved
                given[common] = moved if keep else moved.reshape(empty.shape)
                if isinstance(empty, nn.Parameter) and not isinstance(given[common], nn.Parameter):
                    given[common] = nn.Parameter(given[common], requires_grad=False)
            owner, _, leaf = name.rpartition(".")
            setattr(network.get_submodule(owner), leaf, given[common])
        part.weights.close()
    _fill_tables(network, device)


def _anywhere(network: nn.Module) -> frozenset[str]:
    """The weights that may lie anywhere in memory: of embeddings, which are looked up, and of layers in blocks, which
    multiply one row for each token. A product with a single row, as of times and pooled texts, depends on it, and so
    does a convolution at a single position: pictures so small that a UNet's middle is one differ in last bits.
    """
    embeddings = (name for name, module in network.named_modules() if type(module) is nn.Embedding)
    return frozenset(f"{layer}.weight" for layer in (*layers_in_blocks(network), *embeddings))


def _read(part: Part, name: str, weights: str) -> Tensor:
    """Reads a tensor, and rounds it if it is to be kept smaller and is not packed in the file already."""
    source = part.sources[name]
    if weights == "plain" or (part.weights.format == "gguf" and source.dtype not in PLAIN):
        return source.read(name)
    return packed(source, name, weights)


def _blocks(network: nn.Module, part: Part, dtype: torch.dtype, rounded: Collection[str]) -> Collection[str]:
    """Makes the layers of packed weights keep them so, and returns the names of those weights."""
    if part.weights.format != "gguf" and not rounded:
        return ()
    from latentry_diffusers.loading.quantised import with_quantised

    held = set(rounded)
    if part.weights.format == "gguf":
        held |= {name for name in network.state_dict() if part.sources[common_name(name)].dtype not in PLAIN}
    return with_quantised(network, {name: _dtype(network, name, dtype) for name in held})


def _moved(tensor: Tensor, device: torch.device, dtype: torch.dtype, *, keep: bool) -> Tensor:
    """Moves a tensor to its device; ``keep`` keeps its packed blocks."""
    if keep:
        from latentry_diffusers.loading.quantised import as_blocks

        return as_blocks(tensor).to(device)
    if is_quantised(tensor):
        tensor = dequantised(tensor, dtype)
    return tensor.to(device, dtype if tensor.is_floating_point() else tensor.dtype).contiguous()


def _is_misaligned(tensor: Tensor) -> bool:
    """Whether results depend on the tensor's alignment in its file, as MKL's float32 products of a single row do."""
    return tensor.device.type == "cpu" and tensor.dtype == torch.float32 and tensor.data_ptr() % ALIGNMENT != 0


def _dtype(network: nn.Module, name: str, dtype: torch.dtype) -> torch.dtype:
    """The dtype of one tensor; as in transformers, float32 where float16 would overflow, as in T5's ``wo``."""
    kept = getattr(network, "_keep_in_fp32_modules", None) or ()
    return torch.float32 if dtype == torch.float16 and not {*name.split(".")}.isdisjoint(kept) else dtype


def _fill_tables(network: nn.Module, device: torch.device) -> None:
    """Fills buffers that files do not hold: CLIP's position ids, which count up from 0, and language models' tables."""
    for name, buffer in list(network.named_buffers()):
        owner, _, leaf = name.rpartition(".")
        if not buffer.is_meta:
            continue
        if leaf in ("inv_freq", "original_inv_freq"):
            table = made_again(network.get_submodule(owner), device).get_buffer(leaf)
            network.get_submodule(owner).register_buffer(leaf, table, persistent=False)
            continue
        if leaf != "position_ids":
            raise ModelError(
                f"{type(network).__name__} has a buffer {name}, whose values are unknown.",
                remedy="Install the versions of diffusers and transformers that latentry-diffusers requires.",
            )
        network.get_submodule(owner).register_buffer(
            leaf, torch.arange(buffer.shape[-1], device=device)[None], persistent=False
        )


def made_again(rotary: Any, device: torch.device) -> nn.Module:
    """A rotary embedding of transformers with its frequencies, which were left out on the meta device."""
    with torch.inference_mode(False):
        made: nn.Module = type(rotary)(rotary.config if hasattr(rotary, "config") else rotary.dim)
        return made.to(device)


def _remedy(bundle: Bundle, part: Part) -> str:
    if part.origin == bundle.files.path and bundle.files.config is None:
        return "Download the file again; if its networks have shapes of their own, give --config FOLDER or --variant."
    return "Download the checkpoint again: its weights and configurations must belong together."


def load_report(bundle: Bundle, networks: Mapping[str, nn.Module]) -> LoadReport:
    """Classifies every tensor of the files as used, known to be unneeded, or unexpected."""
    left = list(_left(bundle, networks))
    unexpected = tuple(f"{label}{key}" for label, key, useless in left if not useless)
    used = sum(len(network.state_dict()) for network in networks.values())
    return LoadReport(used, (), unexpected, len(left) - len(unexpected))


def _left(bundle: Bundle, networks: Mapping[str, nn.Module]) -> Iterator[tuple[str, str, bool]]:
    """Yields each tensor that was not loaded: its label, its name, and whether it is known to be unneeded."""
    apart = [part for part in bundle.parts.values() if part.origin != bundle.files.path]
    whole = [part for part in bundle.parts.values() if part.origin == bundle.files.path]
    for parts in (whole, *([part] for part in apart)):
        if not parts:
            continue
        used = {key for part in parts for key in _used(part, networks[part.spec.name])}
        label = "" if parts is whole else f"{parts[0].spec.name}."
        aside: Collection[str] = bundle.replaced if parts is whole else ()
        prefix = "" if parts is whole else parts[0].prefix
        for key in parts[0].weights.tensors:
            if key not in used:
                yield label, key, is_useless(key) or key.startswith(tuple(aside)) or not key.startswith(prefix)


def _used(part: Part, network: nn.Module) -> set[str]:
    names = {common_name(name) for name in network.state_dict()} - part.implied
    return {part.sources[name].key for name in names}
