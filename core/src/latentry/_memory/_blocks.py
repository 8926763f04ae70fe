"""The blocks of a network: the items of its outermost module lists, which run one after another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from torch import nn

from latentry._memory._residency import Group, Slot


@dataclass(frozen=True)
class Split:
    """A network's weights in groups.

    Attributes:
        trunk: weights that are in no block, or in blocks of several groups.
        blocks: blocks that move together, with their weights.
    """

    trunk: Group
    blocks: tuple[tuple[tuple[nn.Module, ...], Group], ...] = ()


def whole(network: nn.Module) -> Split:
    """A network in one group."""
    return Split(Group(slots_of(network.modules())))


def split(network: nn.Module, size: int) -> Split:
    """A network in groups of ``size`` blocks; the last group of a list may be smaller."""
    together = [
        tuple(blocks[i : i + size]) for blocks in _lists_of_blocks(network) for i in range(0, len(blocks), size)
    ]
    inside = [[module for block in blocks for module in block.modules()] for blocks in together]
    within = {id(module) for modules in inside for module in modules}
    held = [list(slots_of(modules)) for modules in inside]
    trunk = list(slots_of(module for module in network.modules() if id(module) not in within))
    owners = Counter(tensor for slots in [trunk, *held] for tensor in {id(slot.tensor) for slot in slots})
    trunk += [slot for slots in held for slot in slots if owners[id(slot.tensor)] > 1]
    groups = [Group(slot for slot in slots if owners[id(slot.tensor)] == 1) for slots in held]
    return Split(Group(trunk), tuple(zip(together, groups, strict=True)))


def _lists_of_blocks(module: nn.Module) -> Iterator[nn.ModuleList]:
    """The outermost lists whose items are called; a list of lists is searched further."""
    for child in module.children():
        nested = any(isinstance(item, nn.ModuleList | nn.ModuleDict) for item in child.children())
        if isinstance(child, nn.ModuleList) and not nested:
            yield child
        else:
            yield from _lists_of_blocks(child)


MODULATION = ("norm", "adaLN", "modulation", "img_mod", "txt_mod", "time_emb_proj")
"""What layers that scale and shift activations are called: their names have one of these in them."""


def layers_in_blocks(network: nn.Module, whole: Collection[str] | None = None) -> tuple[str, ...]:
    """The linear layers and convolutions that hold most of a network, and bear being rounded.

    They are those in its blocks. Embeddings, the first and the last layers lie outside, and norms are neither: every
    block sees what they get wrong.

    Args:
        network: may be on the meta device.
        whole: layers with one of these in their names are left out; ``MODULATION`` where None.
    """
    left_out = MODULATION if whole is None else whole
    modules = dict(network.named_modules())
    inside = {id(module) for blocks in _lists_of_blocks(network) for module in blocks.modules()}
    return tuple(
        name
        for name, module in modules.items()
        # a subclass may compute something else
        if type(module) in (nn.Linear, nn.Conv2d)
        and id(module) in inside
        and not any(word in name for word in left_out)
    )


def slots_of(modules: Iterable[nn.Module]) -> Iterator[Slot]:
    """Parameters and buffers of modules, without those of their children."""
    for module in modules:
        for members in (module._parameters, module._buffers):
            for name, tensor in members.items():
                if tensor is not None:
                    yield Slot(members, name, tensor)
