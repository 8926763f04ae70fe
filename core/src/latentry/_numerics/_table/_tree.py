"""A scheduler's memory with names in place of its tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from latentry._numerics._processes._point import Point
from latentry._numerics._table._symbol import NotLinearError, Symbol


@dataclass(frozen=True, slots=True)
class Name:
    """A tensor of a memory, by name."""

    name: str


def symbols_to_names(memory: Any) -> Any:
    """The memory as values that can be compared.

    Raises:
        NotLinearError: it holds what cannot be saved either.
    """
    if isinstance(memory, Symbol):
        return Name(memory.use())
    if memory is None or isinstance(memory, Point | bool | int | float | str):
        return memory
    if isinstance(memory, tuple):
        return _like(memory, [symbols_to_names(item) for item in memory])
    raise NotLinearError(f"its memory holds an object of type {type(memory).__name__}")


def names_in(memory: Any) -> frozenset[str]:
    """The names of a memory's tensors."""
    return frozenset(_names(memory))


def filled(memory: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The memory with its tensors."""
    if isinstance(memory, Name):
        return tensors[memory.name]
    if isinstance(memory, tuple) and not isinstance(memory, Point):
        return _like(memory, [filled(item, tensors) for item in memory])
    return memory


def matched(memory: Any, actual: Any, tensors: dict[str, Tensor]) -> bool:
    """Whether a run's memory is this one; its tensors are added under their names."""
    if isinstance(memory, Name):
        if not isinstance(actual, Tensor):
            return False
        tensors[memory.name] = actual
        return True
    if type(memory) is not type(actual):
        return False
    if isinstance(memory, tuple) and not isinstance(memory, Point):
        return len(memory) == len(actual) and all(
            matched(item, other, tensors) for item, other in zip(memory, actual, strict=True)
        )
    return bool(memory == actual)


def _names(memory: Any) -> Iterator[str]:
    if isinstance(memory, Name):
        yield memory.name
    elif isinstance(memory, tuple) and not isinstance(memory, Point):
        for item in memory:
            yield from _names(item)


def _like(memory: tuple[Any, ...], items: list[Any]) -> Any:
    """A tuple of the same type, which may be a named one."""
    return type(memory)(*items) if hasattr(memory, "_fields") else tuple(items)
