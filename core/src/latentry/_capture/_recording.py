"""Records which functions of torch a network calls, as Python source that calls them in the same order.

Modules, and whatever decides what is called, are left behind. Only torch's public protocol for watching functions is
used (``torch.overrides``), and what is called is what the network called: the same functions on the same values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from latentry._capture._call import NotCapturable

PLAIN = (bool, int, str, type(None), type(...))
"""Types of constants that source code can spell."""
QUERIES = frozenset(
    {"shape", "dtype", "device", "ndim", "layout", "itemsize", "nbytes", "requires_grad", "is_leaf", "grad_fn", "grad"}
    | {"size", "dim", "numel", "nelement", "element_size", "__len__", "stride", "storage_offset", "is_contiguous"}
    | {"is_floating_point", "is_complex", "is_signed", "is_inference", "is_conj", "is_neg", "is_same_size"}
    | {"is_cuda", "is_cpu", "is_mps", "is_xpu", "is_meta", "is_sparse", "is_quantized", "is_mkldnn", "is_nested"}
    | {"_version", "get_device", "result_type", "can_cast", "get_default_device", "is_tensor", "names", "has_names"}
    | {"promote_types", "_set_grad_enabled"}
)
"""What gives Python a value that is the same for all calls of a kind, or does nothing where no gradients are wanted."""
RANDOM = frozenset(
    {"rand", "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like", "normal", "bernoulli"}
    | {"multinomial", "poisson", "binomial", "gumbel_softmax", "normal_", "uniform_", "bernoulli_", "exponential_"}
    | {"cauchy_", "geometric_", "log_normal_", "random_"}
)
SIZED = frozenset(
    {"nonzero", "argwhere", "masked_select", "unique", "unique_consecutive", "_unique2", "bincount", "combinations"}
)
"""What gives tensors whose size depends on values."""
CHANCE = ("training", "train", "dropout_p")
"""Named arguments that make a function random where they are true."""


class Step(NamedTuple):
    """One call.

    Attributes:
        source: of the call.
        reads: names of the tensors that it is given.
        gives: names of its results; none where it only writes in place.
        several: whether they come as a tuple or a list.
    """

    source: str
    reads: frozenset[str]
    gives: tuple[str, ...]
    several: bool

    def __str__(self) -> str:
        target = "".join(f"{name}, " for name in self.gives) if self.several else "".join(self.gives)
        return f"{target} = {self.source}" if target else self.source


class Recording(TorchFunctionMode):
    """Records calls in this thread while it is entered; the calls themselves go on as usual.

    Nothing that keeps a call from being recorded is raised inside the network, which might take it for its own error.

    Args:
        inputs: tensors that the calls depend on.

    Attributes:
        constants: objects that the source refers to, by name: functions, and tensors that no recorded call made.
        why_not: why the calls cannot be repeated from what was recorded; empty where they can.
    """

    def __init__(self, inputs: Sequence[Tensor]) -> None:
        super().__init__()
        self.constants: dict[str, Any] = {}
        self.why_not = ""
        self._steps: list[Step] = []
        self._inputs = [f"x{index}" for index in range(len(inputs))]
        self._names: Any = WeakTensorKeyDictionary()  # untyped; tensors may end while it lasts
        self._known: dict[int, str] = {}
        self._kept: list[tuple[Tensor, int]] = []
        self._fresh = count()
        for name, tensor in zip(self._inputs, inputs, strict=True):
            self._names[tensor] = name
            self._kept.append((tensor, _version(tensor)))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Calls the function, and records it."""
        given = kwargs or {}
        tensors = list(_tensors((args, given)))
        before = [_version(tensor) for tensor in tensors]
        made = func(*args, **given)
        if not self.why_not:
            written = before != [_version(tensor) for tensor in tensors]
            self._record(func, args, given, made, written=written)
        return made

    def source(self, output: Any) -> str:
        """A function ``replay`` of the inputs that returns what the network returned.

        Raises:
            NotCapturable: something was done that cannot be repeated.
        """
        if any(_version(tensor) != version for tensor, version in self._kept):
            self.why_not = self.why_not or "it writes into tensors that it did not make"
        if not all(tensor in self._names for tensor in _tensors(output)):
            self.why_not = self.why_not or "its output comes from no function of torch"
        if self.why_not:
            raise NotCapturable(self.why_not)
        reads: set[str] = set()
        returned = self._spelt(output, reads)
        lines = [f"def replay({', '.join(self._inputs)}):", *self._lines(reads), f"    return {returned}"]
        return "\n".join(lines)

    def _lines(self, kept: set[str]) -> Iterator[str]:
        """The calls, each with the end of the tensors that are not read later."""
        last = {name: index for index, step in enumerate(self._steps) for name in (*step.reads, *step.gives)}
        for index, step in enumerate(self._steps):
            yield f"    {step}"
            names = {*step.reads, *step.gives} - kept
            if ended := sorted(name for name in names if last[name] == index):
                yield f"    del {', '.join(ended)}"

    def _record(self, func: Any, args: Any, kwargs: dict[str, Any], made: Any, *, written: bool) -> None:
        name = _name(func)
        results = list(made) if isinstance(made, tuple | list) else [made]
        if name in RANDOM or kwargs.get("generator") is not None or any(map(kwargs.get, CHANCE)):
            self.why_not = f"it draws random numbers, or works as in training ({name})"
        elif _is_sized_by_values(name, args, kwargs):
            self.why_not = f"it makes tensors whose size depends on values ({name})"
        elif not any(isinstance(each, Tensor) for each in results) and not written:
            self.why_not = "" if name in QUERIES else f"it reads values of tensors ({name})"
        elif name == "__set__" or any(isinstance(each, tuple | list | dict) for each in results):
            self.why_not = f"it calls {name}"
        elif any(fresh := [self._is_fresh(each, (args, kwargs)) for each in results]):
            self._add(func, args, kwargs, self._named(results, fresh), several=results[0] is not made)
        elif written:
            self._add(func, args, kwargs, (), several=False)

    def _is_fresh(self, result: Any, given: Any) -> bool:
        known = not isinstance(result, Tensor) or result in self._names
        return not known and all(result is not tensor for tensor in _tensors(given))

    def _named(self, results: list[Any], fresh: list[bool]) -> tuple[str, ...]:
        names = tuple(f"v{next(self._fresh)}" for _ in results)
        for result, new, name in zip(results, fresh, names, strict=True):
            if new:
                self._names[result] = name
        return names

    def _add(self, func: Any, args: Any, kwargs: dict[str, Any], gives: tuple[str, ...], *, several: bool) -> None:
        reads: set[str] = set()
        given = [self._spelt(each, reads) for each in args]
        given += [f"{name}={self._spelt(value, reads)}" for name, value in kwargs.items()]
        self._steps.append(Step(f"{self._constant(func)}({', '.join(given)})", frozenset(reads), gives, several))

    def _spelt(self, value: Any, reads: set[str]) -> str:
        """A value as source; names of recorded tensors in it are added to ``reads``."""
        if isinstance(value, Tensor) and (name := self._names.get(value)) is not None:
            if name not in self._inputs:
                reads.add(name)
            return str(name)
        if type(value) in PLAIN or (type(value) is float and math.isfinite(value)):
            return "..." if value is ... else repr(value)
        if isinstance(value, tuple | list):
            items = "".join(f"{self._spelt(each, reads)}, " for each in value)
            return f"[{items}]" if isinstance(value, list) else f"({items})"
        if type(value) is slice:
            return f"slice({', '.join(self._spelt(each, reads) for each in (value.start, value.stop, value.step))})"
        if type(value) is dict:
            return "{" + ", ".join(f"{key!r}: {self._spelt(each, reads)}" for key, each in value.items()) + "}"
        return self._constant(value)

    def _constant(self, value: Any) -> str:
        """The name of an object that is referred to, not copied."""
        if (name := self._known.get(id(value))) is None:
            self._known[id(value)] = name = f"c{len(self.constants)}"
            self.constants[name] = value
            if isinstance(value, Tensor):
                self._kept.append((value, _version(value)))
        return name


def replayed(recording: Recording, output: Any, label: str) -> Callable[..., Any]:
    """The function of the recording's inputs that does again what was recorded.

    Args:
        recording: has ended.
        output: what the network returned; its structure is returned again.
        label: where tracebacks say that they are.

    Raises:
        NotCapturable: something was done that cannot be repeated.
    """
    code = compile(recording.source(output), f"<graph of {label}>", "exec")
    space = dict(recording.constants)
    exec(code, space)
    replay: Callable[..., Any] = space["replay"]
    return replay


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _tensors(each)
    elif isinstance(value, dict):
        yield from _tensors(tuple(value.values()))


def _is_sized_by_values(name: str, args: Any, kwargs: dict[str, Any]) -> bool:
    if name == "__getitem__":
        return any(tensor.dtype in (torch.bool, torch.uint8) for tensor in _tensors(args[1:]))
    if name == "repeat_interleave":
        return any(True for _ in _tensors((args[1:], kwargs))) or len(args) + len(kwargs) == 1
    return name in SIZED or (name == "where" and len(args) + len(kwargs) == 1)


def _version(tensor: Tensor) -> int:
    """How often a tensor was written; inference tensors do not count, and cannot be written outside inference mode."""
    return 0 if tensor.is_inference() else tensor._version


def _name(func: Any) -> str:
    """What a function, or the property that it reads, is called."""
    name: str = getattr(func, "__name__", repr(func))
    return str(func.__self__.__name__) if name == "__get__" else name
